package status

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// fakeSource is the source of a publisher: words by key.
type fakeSource struct {
	mu       sync.Mutex
	words    map[string]string
	order    []string
	current  bool
	failed   error
	cost     time.Duration
	computed atomic.Int64
	*publisher
}

func newFakeSource(words ...string) *fakeSource {
	w := &fakeSource{words: map[string]string{}, current: true}
	whole := func() []string { return []string{""} }
	w.publisher = newPublisher(source{
		sections: whole, periodic: whole, period: time.Hour,
		rows: func(string) (rows []row, ok bool, err error) {
			w.computed.Add(1)
			time.Sleep(w.cost)
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, key := range w.order {
				if word, is := w.words[key]; is {
					rows = append(rows, row{key: key, value: word, line: func() []byte { return []byte(key + "=" + word + "\n") }})
				}
			}
			return rows, w.current, w.failed
		},
		deletedLine: func(_, key string) []byte { return []byte("-" + key + "\n") },
		stateLine:   func(n int, current bool) []byte { return fmt.Appendf(nil, "%d %t\n", n, current) },
		current: func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.current
		},
		counted: func(string) bool { return true },
	})
	for _, word := range words {
		w.set(word, "1")
	}
	return w
}

// set sets the word of key, or deletes key if the word is empty.
func (w *fakeSource) set(key, word string) {
	w.mu.Lock()
	if _, known := w.words[key]; !known {
		w.order = append(w.order, key)
	}
	w.words[key] = word
	if word == "" {
		delete(w.words, key)
	}
	w.mu.Unlock()
	w.Invalidate("")
}

// client reads until ctx ends.
type client struct {
	mu   sync.Mutex
	text strings.Builder
	err  error
	done bool
}

func (w *fakeSource) read(ctx context.Context, heartbeat time.Duration) *client {
	c := &client{}
	go func() {
		for lines, err := range w.Read(ctx, heartbeat) {
			c.mu.Lock()
			c.text.Write(lines)
			c.err = err
			c.mu.Unlock()
		}
		c.mu.Lock()
		c.done = true
		c.mu.Unlock()
	}()
	return c
}

// got returns what the client has received since the last call, in one line.
func (c *client) got() string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.text.Reset()
	return strings.Join(strings.Fields(strings.ReplaceAll(c.text.String(), " ", "/")), " ")
}

func inBubble(t *testing.T, test func(t *testing.T, ctx context.Context)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		test(t, ctx)
	})
}

func TestPublisher_SendsAllRowsAndThenTheChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newFakeSource("a", "b")
		c := w.read(ctx, 0)
		assert.Equal(t, "a=1 b=1 2/true", c.got())
		time.Sleep(time.Second)
		w.set("a", "2")
		assert.Equal(t, "a=2", c.got(), "at once, as the last change is long ago")
		w.set("c", "1")
		assert.Empty(t, c.got())
		time.Sleep(time.Second)
		assert.Equal(t, "c=1", c.got(), "after the pause between two changes")
		w.set("b", "")
		assert.Equal(t, "-b", c.got())
		time.Sleep(time.Second)
		w.Invalidate("")
		assert.Empty(t, c.got(), "nothing has changed")
		assert.Equal(t, "a=2 c=1 2/true", w.read(ctx, 0).got(), "later readers get no deletions")
	})
}

func TestPublisher_ComputesOnceForAllReaders(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newFakeSource("a")
		clients := []*client{}
		for range 100 {
			clients = append(clients, w.read(ctx, 0))
		}
		for _, c := range clients {
			assert.Equal(t, "a=1 1/true", c.got())
		}
		time.Sleep(time.Second)
		before := w.computed.Load()
		w.set("a", "2")
		for _, c := range clients {
			assert.Equal(t, "a=2", c.got())
		}
		assert.Equal(t, int64(1), w.computed.Load()-before)
	})
}

func TestPublisher_ComputesFourTimesASecondOrATenthOfTheTime(t *testing.T) {
	for name, tc := range map[string]struct {
		cost time.Duration
		most int64
	}{"cheap rows": {0, 41}, "expensive rows": {100 * time.Millisecond, 11}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				w := newFakeSource("a")
				c := w.read(ctx, 0)
				c.got()
				w.cost = tc.cost
				before := w.computed.Load()
				for n := range 1000 { // ten seconds
					w.set("a", fmt.Sprint(n))
					time.Sleep(10 * time.Millisecond)
				}
				assert.LessOrEqual(t, w.computed.Load()-before, tc.most)
				assert.Greater(t, w.computed.Load()-before, tc.most/2)
				time.Sleep(10 * time.Second)
				assert.True(t, strings.HasSuffix(c.got(), "a=999"), "the last change is sent")
			})
		})
	}
}

func TestPublisher_ComputesNothingWithoutReaders(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newFakeSource("a")
		own, leave := context.WithCancel(ctx)
		c := w.read(own, 0)
		c.got()
		leave()
		synctest.Wait()
		before := w.computed.Load()
		w.set("a", "2")
		time.Sleep(24 * time.Hour)
		assert.Equal(t, before, w.computed.Load())
		assert.Equal(t, "a=2 1/true", w.read(ctx, 0).got(), "a later reader gets the present rows")
	})
}

// A slow reader skips the values in between, but neither the last one nor a deletion.
func TestPublisher_SendsTheNewestToASlowReader(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newFakeSource("a", "b")
		var received []string
		for lines, err := range w.Read(ctx, 0) {
			assert.NoError(t, err)
			received = append(received, strings.Join(strings.Fields(strings.ReplaceAll(string(lines), " ", "/")), " "))
			if len(received) == 1 {
				other := w.read(ctx, 0)
				for n := range 20 {
					w.set("a", fmt.Sprint(n))
					time.Sleep(time.Second)
				}
				w.set("b", "")
				time.Sleep(time.Second)
				other.got()
			}
			if len(received) == 2 {
				break
			}
		}
		assert.Equal(t, []string{"a=1 b=1 2/true", "a=19 -b"}, received)
	})
}

func TestPublisher_SendsHeartbeatsWithoutChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newFakeSource("a")
		c := w.read(ctx, 5*time.Second)
		assert.Equal(t, "a=1 1/true", c.got())
		time.Sleep(4 * time.Second)
		assert.Empty(t, c.got())
		time.Sleep(2 * time.Second)
		assert.Equal(t, "1/true", c.got())
		time.Sleep(time.Minute)
		assert.Len(t, strings.Fields(c.got()), 12)
	})
}

func TestPublisher_ReportsStaleRowsAndKeepsThem(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newFakeSource("a")
		c := w.read(ctx, 0)
		c.got()
		time.Sleep(time.Second)
		w.mu.Lock()
		w.current = false
		w.mu.Unlock()
		w.set("a", "2")
		assert.Equal(t, "1/false", c.got())
		time.Sleep(time.Second)
		w.mu.Lock()
		w.current = true
		w.mu.Unlock()
		w.Invalidate("")
		assert.Equal(t, "a=2 1/true", c.got())
	})
}

func TestPublisher_EndsAfterAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newFakeSource("a")
		c := w.read(ctx, 0)
		c.got()
		time.Sleep(time.Second)
		w.mu.Lock()
		w.failed = errors.New("gone")
		w.mu.Unlock()
		w.Invalidate("")
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		assert.True(t, c.done)
		assert.ErrorContains(t, c.err, "gone")
	})
}

// A slow client holds the chunk that it was given, so a chunk must not hold all rows.
func TestPublisher_SendsRowsInChunks(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w, want := newFakeSource(), ""
		for i := range 3000 {
			key := fmt.Sprintf("%0100d", i)
			w.set(key, "1")
			want += key + "=1\n"
		}
		got := ""
		for lines, err := range w.Read(ctx, 0) {
			assert.NoError(t, err)
			assert.LessOrEqual(t, len(lines), 64<<10)
			if got += string(lines); strings.HasSuffix(got, "3000 true\n") {
				break
			}
		}
		assert.Equal(t, want+"3000 true\n", got)
	})
}
