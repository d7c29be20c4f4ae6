package events

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

// watching reads the changes of a stream one by one.
type watching struct {
	t    *testing.T
	next func() (*Change, error, bool)
	stop func()
}

func watch(t *testing.T, s *Store, o WatchOptions) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := s.Watch(ctx, o)
	require.NoError(t, err)
	next, stop := iter.Pull2(changes)
	stopBoth := func() { cancel(); stop() }
	t.Cleanup(stopBoth)
	return &watching{t, next, stopBoth}
}

// read returns the next changes as reason×count.
func (w *watching) read(n int) (texts []string, last Position) {
	w.t.Helper()
	texts = []string{}
	for range n {
		c, err, ok := w.next()
		require.True(w.t, ok)
		require.NoError(w.t, err)
		texts = append(texts, fmt.Sprint(c.Event.Reason, "×", c.Event.Count))
		last = c.Position
	}
	return texts, last
}

func merge(t *testing.T, s *Store, b *Batch, n int, other environment.Event) {
	t.Helper()
	merged, similar := b.Events[n].Merge(other)
	require.True(t, similar)
	b.Events[n] = merged
	put(t, s, b)
}

// A reader that comes back after any line, to any replica, gets every later change once.
func TestWatch_ResumesAfterEachLineWithoutLossOrRepetition(t *testing.T) {
	client := testenv.Etcd(t)
	s := running(t, client)
	live := watch(t, s, WatchOptions{})
	b := Batch{ID: "1"}
	put(t, s, &b, event("a", 1), event("b", 1), event("c", 1))
	merge(t, s, &b, 1, event("b", 2))
	put(t, s, &b, event("d", 3))
	put(t, s, &Batch{ID: "change-1"}, event("e", 3))
	want := []string{"a×1", "b×1", "c×1", "b×2", "d×1", "e×1"}
	var positions []Position
	var got []string
	for range want {
		texts, at := live.read(1)
		got, positions = append(got, texts...), append(positions, at)
	}
	assert.Equal(t, want, got)
	assert.True(t, slices.IsSortedFunc(positions, Position.Compare), "%v", positions)

	late := running(t, client)
	for _, replica := range []*Store{s, late} {
		for n, at := range positions {
			rest := slices.Clone(want[n+1:])
			if n < 1 { // b has been merged since, so its first state is gone
				rest = slices.Delete(rest, 0, 1)
			}
			resumed := watch(t, replica, WatchOptions{After: &at})
			texts, _ := resumed.read(len(rest))
			assert.Equal(t, rest, texts, "after line %d", n)
			resumed.stop()
		}
	}
}

func TestWatch_StartsWithTheBacklogSinceATime(t *testing.T) {
	s := running(t, testenv.Etcd(t))
	put(t, s, &Batch{ID: "1"}, event("a", 10), event("b", 20))
	put(t, s, &Batch{ID: "2"}, event("c", 30))
	w := watch(t, s, WatchOptions{Filter: Filter{Since: time.Unix(20, 0)}})
	put(t, s, &Batch{ID: "3"}, event("d", 40))
	texts, _ := w.read(3)
	assert.Equal(t, []string{"b×1", "c×1", "d×1"}, texts)
}

// A list's version joins the list to a stream: nothing is missing, and nothing comes twice.
func TestWatch_ContinuesAList(t *testing.T) {
	s := running(t, testenv.Etcd(t))
	empty, err := s.Query(Filter{}, nil, 10)
	require.NoError(t, err)
	first := watch(t, s, WatchOptions{After: &empty.Version})
	b := Batch{ID: "1"}
	put(t, s, &b, event("a", 10))
	texts, _ := first.read(1)
	assert.Equal(t, []string{"a×1"}, texts)
	page, err := s.Query(Filter{}, nil, 10)
	require.NoError(t, err)
	w := watch(t, s, WatchOptions{After: &page.Version})
	merge(t, s, &b, 0, event("a", 11))
	texts, _ = w.read(1)
	assert.Equal(t, []string{"a×2"}, texts)
}

func TestWatch_SendsHeartbeatsWithTheVersion(t *testing.T) {
	s := running(t, testenv.Etcd(t))
	w := watch(t, s, WatchOptions{Heartbeat: 10 * time.Millisecond, Filter: Filter{Environments: []string{"none"}}})
	put(t, s, &Batch{ID: "1"}, event("a", 10))
	newest, err := s.Newest()
	require.NoError(t, err)
	testenv.Eventually(t, func() bool {
		c, err, ok := w.next()
		return ok && err == nil && c.Event == nil && c.Position == newest
	})
}

func TestWatch_RefusesAVersionWhoseEventsWereRemoved(t *testing.T) {
	lower(t, [classes]bounds{tasks: {events: 3, bytes: 1 << 20}, changes: {events: 100, bytes: 1 << 20}})
	client := testenv.Etcd(t)
	s := running(t, client)
	put(t, s, &Batch{ID: "change-1"}, event("change", 1))
	start, err := s.Newest()
	require.NoError(t, err)
	for n := range 10 {
		put(t, s, &Batch{ID: fmt.Sprintf("%04d", n)}, event(fmt.Sprint(n), n))
	}
	put(t, s, &Batch{ID: "change-2"}, event("later", 2))
	late := running(t, client)
	audit := Filter{Actor: ActorPattern("*")}
	for _, replica := range []*Store{s, late} { // a replica that starts later knows the earlier removals
		_, err = replica.Watch(t.Context(), WatchOptions{After: &start})
		assert.ErrorIs(t, err, ErrPosition)
		changes, err := replica.Watch(t.Context(), WatchOptions{After: &start, Filter: audit})
		assert.NoError(t, err, "of the other class, nothing is missing")
		assert.NotNil(t, changes)
		future := Position{Revision: 1 << 40}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = replica.Watch(ctx, WatchOptions{After: &future})
		assert.ErrorIs(t, err, ErrPosition)
	}
}

// A client can come from a replica that is ahead.
func TestWatch_WaitsForTheVersionOfAnotherReplica(t *testing.T) {
	s := running(t, testenv.Etcd(t))
	b := Batch{ID: "1"}
	put(t, s, &b, event("a", 1))
	ahead := Position{Revision: b.Revision + 1}
	opened := make(chan *watching)
	go func() { opened <- watch(t, s, WatchOptions{After: &ahead}) }()
	put(t, s, &b, event("b", 2))
	put(t, s, &b, event("c", 3))
	texts, _ := (<-opened).read(2)
	assert.Equal(t, []string{"b×1", "c×1"}, texts)
}

func TestWatch_EndsWhenEtcdIsWiped(t *testing.T) {
	s := running(t, testenv.Etcd(t))
	w := watch(t, s, WatchOptions{})
	s.drop()
	_, err, ok := w.next()
	assert.True(t, ok)
	assert.ErrorIs(t, err, errDataReplaced)
	_, err = s.Watch(t.Context(), WatchOptions{})
	assert.ErrorIs(t, err, environment.ErrStoreUnavailable)
}

func TestParsePosition(t *testing.T) {
	for text, want := range map[string]Position{"0.0": {}, "12.3": {12, 3}, "9223372036854775807.2147483647": endOf(1<<63 - 1)} {
		got, err := ParsePosition(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
		assert.Equal(t, text, got.String())
	}
	for _, text := range []string{"", "1", "1.", ".1", "-1.0", "1.-1", "1.2147483648", "9223372036854775808.0", "x.1", "1.1.1"} {
		_, err := ParsePosition(text)
		assert.Error(t, err, text)
	}
}
