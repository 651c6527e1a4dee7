package main

import "context"

func (b *bench) churn(ctx context.Context) error { return nil }
