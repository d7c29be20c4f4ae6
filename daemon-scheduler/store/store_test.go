package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/goleak"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func env(name string) environment.Environment {
	return environment.New(name, "arn:cluster/prod", "arn:td:1", "token of "+name)
}

// lead makes a replica lead until the test ends or stop is called.
func lead(t *testing.T, s *Store, name string) (term Term, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	terms := make(chan Term)
	var group sync.WaitGroup
	group.Go(func() {
		assert.NoError(t, s.Lead(ctx, name, 2*time.Second, func(ctx context.Context, term Term) error {
			terms <- term
			<-ctx.Done()
			return nil
		}))
	})
	stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(stop)
	return <-terms, stop
}

func TestStore_CreatesAnEnvironmentOnce(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	require.NoError(t, s.Create(t.Context(), env("logs")))
	second := env("logs")
	second.Token = "another"
	assert.ErrorIs(t, s.Create(t.Context(), second), environment.ErrExists)
	stored, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	assert.Equal(t, "token of logs", stored.Token)
	assert.NotZero(t, stored.StoredVersion)

	require.NoError(t, s.Create(t.Context(), env("a")))
	list, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, "a", list[0].Name)

	require.NoError(t, s.Delete(t.Context(), "logs"))
	require.NoError(t, s.Delete(t.Context(), "logs"), "deleting a missing environment is no error")
	_, err = s.Get(t.Context(), "logs")
	assert.ErrorIs(t, err, environment.ErrNotFound)

	require.NoError(t, s.Create(t.Context(), env("logs")))
	_, err = s.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) {
		return e.Delete(time.Now()), nil
	})
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), "logs"))
	_, err = s.Get(t.Context(), "logs")
	assert.ErrorIs(t, err, environment.ErrNotFound, "also one that is being deleted with its tasks")
}

func TestStore_ListReadsPagesAndSkipsMalformedRecords(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, testenv.Logger(t))
	for i := range recordsPerRead + 10 {
		_, err := client.Put(t.Context(), fmt.Sprintf("ecs/environment/e%04d", i), `{"Name":"x"}`)
		require.NoError(t, err)
	}
	_, err := client.Put(t.Context(), "ecs/environment/broken", "{")
	require.NoError(t, err)
	list, err := s.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, recordsPerRead+10)
	assert.Equal(t, "e0000", list[0].Name, "the name comes from the key")
	_, err = s.Get(t.Context(), "broken")
	assert.ErrorContains(t, err, "decode ecs/environment/broken")
}

func TestStore_UpdateLosesNoConcurrentUpdate(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	require.NoError(t, s.Create(t.Context(), env("logs")))
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			_, err := s.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) {
				e.DesiredTaskCount++
				return e, nil
			})
			assert.NoError(t, err)
		})
	}
	group.Wait()
	stored, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	assert.Equal(t, 10, stored.DesiredTaskCount)

	rejection := errors.New("no")
	_, err = s.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) {
		return e, rejection
	})
	assert.ErrorIs(t, err, rejection)
	_, err = s.Update(t.Context(), "none", func(e environment.Environment) (environment.Environment, error) {
		return e, nil
	})
	assert.ErrorIs(t, err, environment.ErrNotFound)
}

func TestStore_CommitRejectsFormerLeadersAndChangedRecords(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, testenv.Logger(t))
	term, _ := lead(t, s, "one")
	require.NoError(t, s.Create(t.Context(), env("logs")))
	stored, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	launch := environment.Launch{Instance: "arn:i/1", Deployment: "d", State: environment.LaunchOpen}
	change := Changes{Name: "logs", Incarnation: stored.Incarnation, Put: []environment.Launch{launch}}

	revision, err := s.Commit(t.Context(), term, change)
	require.NoError(t, err)
	committed, err := s.Launches(t.Context(), "logs")
	require.NoError(t, err)
	require.Len(t, committed, 1)
	assert.Equal(t, revision, committed[0].StoredVersion)

	_, err = s.Commit(t.Context(), term, change)
	assert.ErrorIs(t, err, environment.ErrConflict, "the launch exists")
	change.Put[0].StoredVersion = revision
	_, err = s.Commit(t.Context(), Term{Key: term.Key, Revision: term.Revision + 1}, change)
	assert.ErrorIs(t, err, environment.ErrNotLeader)
	_, err = s.Commit(t.Context(), Term{Key: "ecs/leader/daemon-scheduler/none", Revision: 1}, change)
	assert.ErrorIs(t, err, environment.ErrNotLeader)

	stale := stored
	stale.StoredVersion--
	_, err = s.Commit(t.Context(), term, Changes{Name: "logs", Incarnation: stored.Incarnation, Environment: &stale})
	assert.ErrorIs(t, err, environment.ErrConflict)

	require.NoError(t, s.Delete(t.Context(), "logs"))
	_, err = s.Commit(t.Context(), term, change)
	assert.ErrorIs(t, err, environment.ErrConflict, "a deleted environment gets no launch")
	require.NoError(t, s.Create(t.Context(), env("logs")))
	_, err = s.Commit(t.Context(), term, change)
	assert.ErrorIs(t, err, environment.ErrConflict, "nor does a new environment of the same name")

	listed, err := s.Launches(t.Context(), "logs")
	require.NoError(t, err)
	require.Len(t, listed, 1)
	assert.Equal(t, "arn:i/1", listed[0].Instance)
	_, err = s.Commit(t.Context(), term, Changes{Name: "logs", Delete: listed})
	require.NoError(t, err)
	listed, err = s.Launches(t.Context(), "logs")
	require.NoError(t, err)
	assert.Empty(t, listed)
}

func TestStore_CommitRemovesAnUnchangedEnvironment(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	term, _ := lead(t, s, "one")
	require.NoError(t, s.Create(t.Context(), env("logs")))
	old, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	stored, err := s.Update(t.Context(), "logs", func(e environment.Environment) (environment.Environment, error) {
		return e.Pause(time.Now())
	})
	require.NoError(t, err)
	_, err = s.Commit(t.Context(), term, Changes{Name: "logs", Incarnation: old.Incarnation, Remove: &old})
	assert.ErrorIs(t, err, environment.ErrConflict)
	_, err = s.Commit(t.Context(), term, Changes{Name: "logs", Incarnation: stored.Incarnation, Remove: &stored})
	require.NoError(t, err)
	_, err = s.Get(t.Context(), "logs")
	assert.ErrorIs(t, err, environment.ErrNotFound)
}

func TestStore_LeadElectsOneReplica(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, testenv.Logger(t))
	first, stop := lead(t, s, "one")
	named, err := s.Leader(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "one", named)

	stop()
	second, _ := lead(t, s, "two")
	assert.Greater(t, second.Revision, first.Revision)
	named, err = s.Leader(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "two", named)
}

func TestStore_LeadEndsWithTheLease(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, testenv.Logger(t))
	ctx, cancel := context.WithCancel(t.Context())
	terms, ended := make(chan Term, 9), make(chan struct{}, 9)
	var group sync.WaitGroup
	group.Go(func() {
		assert.NoError(t, s.Lead(ctx, "one", 2*time.Second, func(ctx context.Context, term Term) error {
			terms <- term
			<-ctx.Done()
			ended <- struct{}{}
			return nil
		}))
	})
	first := <-terms
	leases, err := client.Leases(ctx)
	require.NoError(t, err)
	require.Len(t, leases.Leases, 1)
	_, err = client.Revoke(ctx, leases.Leases[0].ID)
	require.NoError(t, err)
	<-ended
	assert.Greater(t, (<-terms).Revision, first.Revision, "it is elected again")
	cancel()
	group.Wait()
}

func TestStore_ReportsAnEtcdWithoutLeaderAsUnavailable(t *testing.T) {
	for _, err := range []error{
		rpctypes.ErrLeaderChanged, rpctypes.ErrNoLeader, rpctypes.ErrTimeout, rpctypes.ErrTimeoutDueToLeaderFail,
	} {
		assert.ErrorIs(t, classify(fmt.Errorf("x: %w", err)), environment.ErrStoreUnavailable, err.Error())
	}
	assert.NotErrorIs(t, classify(rpctypes.ErrTooManyRequests), environment.ErrStoreUnavailable)
}
