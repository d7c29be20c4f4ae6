package store

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func mark(attribute string) environment.ReadinessAttribute {
	return environment.ReadinessAttribute{Name: attribute, Instance: "arn:i/prod/1", Cluster: "arn:cluster/prod", State: environment.AttributeOpen}
}

func TestMarksAreGuardedAndCopied(t *testing.T) {
	client := testenv.Etcd(t)
	s := running(t, client)
	term, _ := lead(t, s, "one")
	odd := mark(`a/b\c%2F.d`)
	assert.False(t, s.UsesReadiness(odd.Cluster))
	revision, err := s.CommitAttributes(t.Context(), term, []environment.ReadinessAttribute{odd}, nil)
	require.NoError(t, err)
	odd.StoredVersion = revision
	_, held := s.ReadinessInputs(odd.Cluster)
	assert.Equal(t, []environment.ReadinessAttribute{odd}, held, "own writes are seen at once")
	assert.True(t, s.UsesReadiness(odd.Cluster))
	assert.Equal(t, []string{odd.Cluster}, s.ClustersWithAttributes())
	_, held = running(t, client).ReadinessInputs(odd.Cluster)
	assert.Equal(t, []environment.ReadinessAttribute{odd}, held, "it is read as it was written")

	_, err = s.CommitAttributes(t.Context(), term, []environment.ReadinessAttribute{mark(odd.Name)}, nil)
	assert.ErrorIs(t, err, environment.ErrConflict)
	_, err = s.CommitAttributes(t.Context(), Term{Key: term.Key, Revision: term.Revision + 1}, []environment.ReadinessAttribute{odd}, nil)
	assert.ErrorIs(t, err, environment.ErrNotLeader)
	_, err = s.CommitAttributes(t.Context(), term, make([]environment.ReadinessAttribute, MostLaunches+1), nil)
	assert.Error(t, err)
	_, err = s.CommitAttributes(t.Context(), term, nil, []environment.ReadinessAttribute{odd})
	require.NoError(t, err)
	assert.False(t, s.UsesReadiness(odd.Cluster))
	assert.Empty(t, s.ClustersWithAttributes())
}

// What others write and drop is followed, and told with its cluster; what cannot be read is left out.
func TestMarksOfOthersAreFollowed(t *testing.T) {
	client := testenv.Etcd(t)
	s := New(client, testenv.Logger(t))
	marked := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		assert.NoError(t, s.Run(ctx, func(string) {}, func(clusterARN string) { marked <- clusterARN }))
	})
	testenv.Eventually(t, s.Synced)
	for _, broken := range []string{"x/arn:i/2", "x", "%/arn:i/2"} {
		_, err := client.Put(ctx, "ecs/readiness/"+broken, `{"State":"set"}`)
		require.NoError(t, err)
	}
	_, err := client.Put(ctx, "ecs/readiness/x/arn:i/1", `{"Cluster":"arn:cluster/a","State":"set"}`)
	require.NoError(t, err)
	assert.Equal(t, "arn:cluster/a", <-marked)
	_, held := s.ReadinessInputs("arn:cluster/a")
	require.Len(t, held, 1)
	assert.Equal(t, environment.AttributeKey{Name: "x", Instance: "arn:i/1"}, held[0].Key())
	_, err = client.Delete(ctx, "ecs/readiness/x/arn:i/1")
	require.NoError(t, err)
	assert.Equal(t, "arn:cluster/a", <-marked)
	assert.False(t, s.UsesReadiness("arn:cluster/a"))
}

func TestWhoNamesAnAttributeIsKnown(t *testing.T) {
	s := running(t, testenv.Etcd(t))
	e := env("logs")
	e.Revisions = []environment.Revision{{Number: 1, Spec: environment.Spec{TaskDefinition: e.DesiredTaskDefinition, ReadinessAttribute: "ready"}}}
	require.NoError(t, s.Create(t.Context(), env("metrics")))
	require.NoError(t, s.Create(t.Context(), e))
	testenv.Eventually(t, func() bool { return s.UsesReadiness(e.Cluster) })
	named, _ := s.ReadinessInputs(e.Cluster)
	require.Len(t, named, 1)
	assert.Equal(t, "logs", named[0].Name)
	of, ok := s.ClusterOf("logs")
	assert.True(t, ok)
	assert.Equal(t, e.Cluster, of)
	require.NoError(t, s.Delete(t.Context(), "logs"))
	testenv.Eventually(t, func() bool { return !s.UsesReadiness(e.Cluster) })
	_, ok = s.ClusterOf("logs")
	assert.False(t, ok)
}
