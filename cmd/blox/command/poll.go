package command

import (
	"context"
	"time"

	"github.com/blox/blox/cmd/blox/connect"
)

const (
	pollInterval = 300 * time.Millisecond
	maxOutage    = time.Minute // for a service that is away meanwhile
)

// poll calls done until it reports true, fails permanently, or ctx ends. It retries temporary errors for maxOutage.
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
		case time.Since(failing) > maxOutage:
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}
