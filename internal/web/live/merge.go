package live

import (
	"context"
	"slices"
	"time"
)

// Source is something that changes, under the name of its event.
type Source struct {
	Name    string
	Changes <-chan struct{}
}

// Merge joins sources: the names of those that changed, sorted, and at most
// once in every. The first change comes through at once. The channel closes
// with the context; a source that closes just falls silent.
func Merge(ctx context.Context, every time.Duration, sources ...Source) <-chan []string {
	changed := make(chan string)
	for _, s := range sources {
		go func() {
			for {
				select {
				case _, ok := <-s.Changes:
					if !ok {
						return
					}
				case <-ctx.Done():
					return
				}
				select {
				case changed <- s.Name:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	out := make(chan []string)
	go collect(ctx, every, changed, out)
	return out
}

func collect(ctx context.Context, every time.Duration, changed <-chan string, out chan<- []string) {
	defer close(out)
	var pending []string
	var wait <-chan time.Time // nil while nothing was sent lately
	for {
		var to chan<- []string
		if len(pending) > 0 && wait == nil {
			to = out
		}
		select {
		case name := <-changed:
			if at, found := slices.BinarySearch(pending, name); !found {
				pending = slices.Insert(pending, at, name)
			}
		case to <- pending:
			pending = nil
			wait = time.After(every)
		case <-wait:
			wait = nil
		case <-ctx.Done():
			return
		}
	}
}

// Every is a source of changes for what cannot tell of them.
func Every(ctx context.Context, interval time.Duration) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		defer close(out)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				select {
				case out <- struct{}{}:
				default:
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
