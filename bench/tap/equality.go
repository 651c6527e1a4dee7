package main

import "context"

func equality(_ context.Context, _ *options, _ string) error { return nil }
