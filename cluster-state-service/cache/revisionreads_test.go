package cache

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// A read returns just as its deadline expires. A caller that arrived meanwhile gets a read that began later.
func TestRevisionReads_GiveLateCallersTheirOwnRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the first read waits for its timeout
		q := &revisionReads{wake: make(chan struct{}, 1)}
		ctx, stop := context.WithCancel(t.Context())
		ended, second := make(chan struct{}), make(chan int64, 1)
		reads := int64(0)
		go func() {
			defer close(ended)
			q.run(ctx, func(limited context.Context) (int64, error) {
				if reads++; reads > 1 {
					return reads, nil
				}
				go func() {
					revision, err := q.next(ctx)
					assert.NoError(t, err)
					second <- revision
				}()
				testenv.Eventually(t, func() bool {
					q.mu.Lock()
					defer q.mu.Unlock()
					return q.queued != nil
				})
				<-limited.Done()
				return reads, nil
			})
		}()
		first, err := q.next(ctx)
		require.NoError(t, err)
		assert.EqualValues(t, 1, first)
		assert.EqualValues(t, 2, <-second)
		stop()
		<-ended
		_, err = q.next(t.Context())
		assert.ErrorIs(t, err, errStopped)
	})
}

// Four clients send a request after each response. They share one read instead of two in turn.
func TestRevisionReads_GatherClientsThatRepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const clients, requests = 4, 100
		q := &revisionReads{wake: make(chan struct{}, 1)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		reads := 0
		go func() {
			defer close(ended)
			q.run(ctx, func(context.Context) (int64, error) {
				reads++
				time.Sleep(sharingDelay / 2)
				return int64(reads), nil
			})
		}()
		var sending sync.WaitGroup
		for n := range clients {
			sending.Go(func() {
				time.Sleep(time.Duration(n%2) * sharingDelay / 4) // half of them arrive during the first read
				for range requests {
					_, err := q.next(ctx)
					assert.NoError(t, err)
				}
			})
		}
		sending.Wait()
		assert.LessOrEqual(t, reads, requests+2)
		stop()
		<-ended
	})
}

// Few clients do not wait for others.
func TestRevisionReads_DelayNoSingleClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &revisionReads{wake: make(chan struct{}, 1)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			q.run(ctx, func(context.Context) (int64, error) { return 1, nil })
		}()
		start := time.Now()
		for range 100 {
			_, err := q.next(ctx)
			require.NoError(t, err)
		}
		assert.Zero(t, time.Since(start))
		stop()
		<-ended
	})
}
