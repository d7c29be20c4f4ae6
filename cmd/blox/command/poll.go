package command

import (
	"context"
	"time"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/internal/backoff"
)

const (
	pollInterval = 300 * time.Millisecond
	maxOutage    = time.Minute // longest outage of a service that a command tolerates
)

// poll calls done until it reports true, fails permanently, or ctx ends. It retries temporary errors for maxOutage. The
// interval is constant: a person watches the progress.
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
		if !backoff.Sleep(ctx, pollInterval) {
			return ctx.Err()
		}
	}
}
