package status_test

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

	"github.com/blox/blox/daemon-scheduler/status"
)

// world is what a board shows: words by key.
type world struct {
	mu      sync.Mutex
	words   map[string]string
	order   []string
	current bool
	failed  error
	takes   time.Duration
	looks   atomic.Int64
	*status.Board
}

func newWorld(words ...string) *world {
	w := &world{words: map[string]string{}, current: true}
	whole := func() []string { return []string{""} }
	w.Board = status.New(status.Source{
		Sections: whole, Idle: whole, Every: time.Hour,
		Rows: func(string) (rows []status.Row, ok bool, err error) {
			w.looks.Add(1)
			time.Sleep(w.takes)
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, key := range w.order {
				if word, is := w.words[key]; is {
					rows = append(rows, status.Row{Key: key, Value: word, Line: func() []byte { return []byte(key + "=" + word + "\n") }})
				}
			}
			return rows, w.current, w.failed
		},
		Gone:  func(_, key string) []byte { return []byte("-" + key + "\n") },
		State: func(n int, current bool) []byte { return fmt.Appendf(nil, "%d %t\n", n, current) },
		Current: func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.current
		},
		Counted: func(string) bool { return true },
	})
	for _, word := range words {
		w.set(word, "1")
	}
	return w
}

// set gives key a word, or takes it away with an empty one.
func (w *world) set(key, word string) {
	w.mu.Lock()
	if _, known := w.words[key]; !known {
		w.order = append(w.order, key)
	}
	w.words[key] = word
	if word == "" {
		delete(w.words, key)
	}
	w.mu.Unlock()
	w.Touch("")
}

// client reads until ctx ends, and takes in what has come once it is asked for it.
type client struct {
	mu   sync.Mutex
	text strings.Builder
	err  error
	done bool
}

func (w *world) read(ctx context.Context, heartbeat time.Duration) *client {
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

// got is what has come since it was asked last, in one line.
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

func TestAReaderGetsWhatThereIsAndThenWhatChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newWorld("a", "b")
		c := w.read(ctx, 0)
		assert.Equal(t, "a=1 b=1 2/true", c.got())
		time.Sleep(time.Second)
		w.set("a", "2")
		assert.Equal(t, "a=2", c.got(), "at once, as long as nothing else was told just now")
		w.set("c", "1")
		assert.Empty(t, c.got())
		time.Sleep(time.Second)
		assert.Equal(t, "c=1", c.got(), "and what came after that soon")
		w.set("b", "")
		assert.Equal(t, "-b", c.got())
		time.Sleep(time.Second)
		w.Touch("")
		assert.Empty(t, c.got(), "nothing is different")
		assert.Equal(t, "a=2 c=1 2/true", w.read(ctx, 0).got(), "what is gone is not told to those who come later")
	})
}

func TestManyReadersCostOneLook(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newWorld("a")
		clients := []*client{}
		for range 100 {
			clients = append(clients, w.read(ctx, 0))
		}
		for _, c := range clients {
			assert.Equal(t, "a=1 1/true", c.got())
		}
		time.Sleep(time.Second)
		before := w.looks.Load()
		w.set("a", "2")
		for _, c := range clients {
			assert.Equal(t, "a=2", c.got())
		}
		assert.Equal(t, int64(1), w.looks.Load()-before)
	})
}

func TestLooksAreFourASecondOrATenthOfTheTime(t *testing.T) {
	for name, tc := range map[string]struct {
		takes time.Duration
		most  int64
	}{"quick ones": {0, 41}, "slow ones": {100 * time.Millisecond, 11}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				w := newWorld("a")
				c := w.read(ctx, 0)
				c.got()
				w.takes = tc.takes
				before := w.looks.Load()
				for n := range 1000 { // ten seconds
					w.set("a", fmt.Sprint(n))
					time.Sleep(10 * time.Millisecond)
				}
				assert.LessOrEqual(t, w.looks.Load()-before, tc.most)
				assert.Greater(t, w.looks.Load()-before, tc.most/2)
				time.Sleep(10 * time.Second)
				assert.True(t, strings.HasSuffix(c.got(), "a=999"), "the last is never missed")
			})
		})
	}
}

func TestNobodyReadsNobodyLooks(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newWorld("a")
		own, leave := context.WithCancel(ctx)
		c := w.read(own, 0)
		c.got()
		leave()
		synctest.Wait()
		before := w.looks.Load()
		w.set("a", "2")
		time.Sleep(24 * time.Hour)
		assert.Equal(t, before, w.looks.Load())
		assert.Equal(t, "a=2 1/true", w.read(ctx, 0).got(), "and who comes then is not shown what was")
	})
}

// One who takes a while misses what lay between, but not the last, nor that something is gone.
func TestASlowReaderGetsTheLast(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newWorld("a", "b")
		var told []string
		for lines, err := range w.Read(ctx, 0) {
			assert.NoError(t, err)
			told = append(told, strings.Join(strings.Fields(strings.ReplaceAll(string(lines), " ", "/")), " "))
			if len(told) == 1 {
				other := w.read(ctx, 0)
				for n := range 20 {
					w.set("a", fmt.Sprint(n))
					time.Sleep(time.Second)
				}
				w.set("b", "")
				time.Sleep(time.Second)
				other.got()
			}
			if len(told) == 2 {
				break
			}
		}
		assert.Equal(t, []string{"a=1 b=1 2/true", "a=19 -b"}, told)
	})
}

func TestAHeartbeatComesWhenNothingElseDoes(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newWorld("a")
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

func TestWhatIsNotCurrentIsSaidAndKept(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newWorld("a")
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
		w.Touch("")
		assert.Equal(t, "a=2 1/true", c.got())
	})
}

func TestAnErrorEndsIt(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w := newWorld("a")
		c := w.read(ctx, 0)
		c.got()
		time.Sleep(time.Second)
		w.mu.Lock()
		w.failed = errors.New("gone")
		w.mu.Unlock()
		w.Touch("")
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		assert.True(t, c.done)
		assert.ErrorContains(t, c.err, "gone")
	})
}

// A client that takes its time holds what it was given: that may not be all rows.
func TestWhatThereIsComesInPieces(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		w, want := newWorld(), ""
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
