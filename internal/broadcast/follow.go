package broadcast

import (
	"context"
	"iter"
	"time"
)

// Follow yields the items from the subscription's place on until ctx ends, and then the error that ended the
// subscription, if one did, with a zero item. If interval is above zero, it also yields an item of heartbeat once in
// each interval, after all items so far, unless heartbeat reports false. One goroutine may read the sequence.
func (s *Subscription[T]) Follow(
	ctx context.Context, interval time.Duration, heartbeat func() (T, bool),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var ticks <-chan time.Time
		if interval > 0 {
			ticker := time.NewTicker(interval)
			defer ticker.Stop()
			ticks = ticker.C
		}
		for ctx.Err() == nil {
			if err := s.Err(); err != nil {
				var none T
				yield(none, err)
				return
			}
			if items, ok := s.Next(); ok {
				for _, item := range items {
					if !yield(item, nil) {
						return
					}
				}
				continue
			}
			select {
			case <-ctx.Done():
			case <-s.Ready():
			case <-ticks:
				if item, ok := heartbeat(); ok && !yield(item, nil) {
					return
				}
			}
		}
	}
}
