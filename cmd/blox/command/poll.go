package command

import (
	"context"
	"time"

	"github.com/blox/blox/cmd/blox/connect"
)

const (
	pollEvery = 300 * time.Millisecond // between two looks at what is waited for
	patience  = time.Minute            // for a service that is away meanwhile
)

// poll asks done until it is true, has failed for good, or ctx has ended. What may pass is waited for, as long as patience lasts.
func poll(ctx context.Context, done func() (bool, error)) error {
	var failing time.Time
	for {
		ok, err := done()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && ok:
			return nil
		case err == nil:
			failing = time.Time{}
		case !connect.Temporary(err):
			return err
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > patience:
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
	}
}
