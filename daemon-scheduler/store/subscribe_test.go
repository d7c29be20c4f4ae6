package store

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

// follow gathers changes as texts.
func follow(t *testing.T, s *Store, heartbeat time.Duration) <-chan string {
	ctx, cancel := context.WithCancel(context.Background())
	changes, err := s.Changes(ctx, heartbeat)
	require.NoError(t, err)
	lines, ended := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(ended)
		for c, err := range changes {
			switch {
			case err != nil:
				lines <- err.Error()
			case c.Heartbeat:
				lines <- "heartbeat"
			default:
				lines <- fmt.Sprintf("%s deleted=%v paused=%v in %s", c.Environment.Name, c.Deleted, c.Environment.Paused, c.Environment.Cluster)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return lines
}

func TestReadersAreToldOfEveryChange(t *testing.T) {
	server := testenv.EtcdServer(t)
	_, err := New(server.Client(), testenv.Logger(t)).Changes(t.Context(), 0)
	assert.ErrorIs(t, err, environment.ErrStoreUnavailable, "nothing is read yet")
	s := running(t, server.Client())
	require.NoError(t, s.Create(t.Context(), env("old")))
	testenv.Eventually(t, func() bool { return len(s.Names()) == 1 })
	lines := follow(t, s, 0)

	require.NoError(t, s.Create(t.Context(), env("logs")))
	assert.Equal(t, "logs deleted=false paused=false in arn:cluster/prod", <-lines)
	for range 2 { // the second changes nothing
		_, err := s.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) { return e.Pause() })
		require.NoError(t, err)
	}
	assert.Equal(t, "logs deleted=false paused=true in arn:cluster/prod", <-lines)
	require.NoError(t, s.Delete(t.Context(), "logs"))
	assert.Equal(t, "logs deleted=true paused=false in arn:cluster/prod", <-lines)

	// What the leader commits itself is told as well.
	term, stop := lead(t, s, "one")
	stored, err := s.Get(t.Context(), "old")
	require.NoError(t, err)
	stored.Paused = true
	_, err = s.Commit(t.Context(), term, Changes{Name: "old", Incarnation: stored.Incarnation, Environment: &stored})
	require.NoError(t, err)
	assert.Equal(t, "old deleted=false paused=true in arn:cluster/prod", <-lines)
	stop()

	// What happens while the watch is away is told by the next list.
	server.Stop()
	server.Start()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, s.Delete(ctx, "old"))
	assert.Equal(t, "old deleted=true paused=false in arn:cluster/prod", <-lines)
	assert.Equal(t, "heartbeat", <-follow(t, s, time.Millisecond))
}

func TestAListTellsWhatWasMissed(t *testing.T) {
	var f feed
	changes := make(chan *environment.Change, 10)
	f.readers = map[*reader]bool{{changes}: true}
	at := func(name string, revision int64) environment.Environment {
		e := env(name)
		e.StoredVersion = revision
		return e
	}
	f.listed([]environment.Environment{at("a", 1), at("b", 2), at("c", 3)}, nil, 5)
	for range 3 {
		<-changes
	}
	f.listed([]environment.Environment{at("a", 1), at("b", 6)}, map[string]bool{"c": true}, 7)
	assert.Equal(t, int64(6), (<-changes).Version)
	assert.Empty(t, changes, "nothing is told of what cannot be read")
	f.listed([]environment.Environment{at("a", 1)}, nil, 9)
	for range 2 {
		assert.True(t, (<-changes).Deleted)
	}
	assert.Empty(t, changes)
}

func TestASlowReaderIsCutAndHarmsNobody(t *testing.T) {
	s := New(nil, testenv.Logger(t))
	s.feed.listed(nil, nil, 1)
	changes, err := s.Changes(t.Context(), 0)
	require.NoError(t, err)
	for i := range mostWaiting + 10 {
		e := env("logs")
		e.StoredVersion = int64(i + 2)
		s.feed.listed([]environment.Environment{e}, nil, e.StoredVersion)
	}
	assert.Empty(t, s.feed.readers)
	told := 0
	for _, err = range changes {
		told++
	}
	assert.ErrorIs(t, err, ErrSlow)
	assert.Equal(t, mostWaiting+1, told)
}

// A thousand clients may follow at once: what each of them costs before anything has happened is no more than a few pages.
func TestAReaderIsCheap(t *testing.T) {
	s := New(nil, testenv.Logger(t))
	s.feed.listed(nil, nil, 1)
	const readers = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range readers {
		_, err := s.Changes(t.Context(), 0)
		require.NoError(t, err)
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, (after.TotalAlloc-before.TotalAlloc)/readers, uint64(32<<10), "bytes")
}
