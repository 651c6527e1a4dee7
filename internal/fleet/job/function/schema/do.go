package schema

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

// Do decodes the arguments and runs the function. A panic in it becomes an
// error.
func (f Function) Do(ctx context.Context, host Host, args []string, limit time.Duration) (res Result, err error) {
	values, err := f.Decode(args)
	if err != nil {
		return Result{}, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = &Panic{Function: f.Name, Value: fmt.Sprint(p), Stack: string(debug.Stack())}
		}
	}()
	return f.Run(ctx, Call{Host: host, Args: values, Limit: limit})
}

// Panic is the error of a function that panicked.
type Panic struct {
	Function, Value, Stack string
}

// Error returns the message without the stack, which is for the log.
func (p *Panic) Error() string {
	return fmt.Sprintf("%s failed in itself (a defect of the peel): %s", p.Function, p.Value)
}
