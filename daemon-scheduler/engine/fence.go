package engine

import (
	"context"
	"errors"
	"time"

	"github.com/blox/blox/daemon-scheduler/store"
)

var (
	errAnnouncementExpired = errors.New("the announcement of the call has expired")
	errLeaseExpired        = errors.New("the leader's lease has expired")
)

// moment is a time on the two clocks of this machine. The monotonic clock stands still while the machine is suspended,
// and the wall clock can be set back, so a deadline has passed as soon as one of them says so.
type moment struct{ monotonic, wall time.Time }

// momentOf returns t, which has a reading of both clocks as time.Now has.
func momentOf(t time.Time) moment { return moment{monotonic: t, wall: t.Round(0)} }

func (m moment) before(deadline moment) bool {
	return m.monotonic.Before(deadline.monotonic) && m.wall.Before(deadline.wall)
}

// checkFence returns why a call that was announced until notAfter must not go out now; nil if it may. It compares
// clocks, because the timers that end contexts may be late in a process that was suspended.
func checkFence(ctx context.Context, term store.Term, notAfter time.Time) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := momentOf(time.Now())
	lease := now
	if term.Until != nil {
		lease = momentOf(term.Until())
	}
	return fence(now, momentOf(notAfter), lease, term.Until != nil)
}

func fence(now, notAfter, lease moment, leased bool) error {
	switch {
	case !now.before(notAfter):
		return errAnnouncementExpired
	case leased && !now.before(lease):
		return errLeaseExpired
	}
	return nil
}
