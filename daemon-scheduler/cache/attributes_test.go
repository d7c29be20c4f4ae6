package cache

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func TestCache_HoldsCommittedAttributes(t *testing.T) {
	client := testenv.Etcd(t)
	s, c := running(t, client)
	term := lead(t, s)
	attribute := environment.ReadinessAttribute{
		Name: `a/b\c%2F.d`, Instance: "arn:i/prod/1", Cluster: "arn:cluster/prod", State: environment.AttributeOpen,
	}
	assert.False(t, c.UsesReadiness(attribute.Cluster))
	revision, err := s.CommitAttributes(t.Context(), term, []environment.ReadinessAttribute{attribute}, nil)
	require.NoError(t, err)
	attribute.StoredVersion = revision
	_, held := c.ReadinessInputs(attribute.Cluster)
	assert.Equal(t, []environment.ReadinessAttribute{attribute}, held, "own commits are held at once")
	assert.True(t, c.UsesReadiness(attribute.Cluster))
	assert.Equal(t, []string{attribute.Cluster}, c.ClustersWithAttributes())
	_, other := running(t, client)
	_, held = other.ReadinessInputs(attribute.Cluster)
	assert.Equal(t, []environment.ReadinessAttribute{attribute}, held, "another replica decodes the same record")

	_, err = s.CommitAttributes(t.Context(), term, nil, []environment.ReadinessAttribute{attribute})
	require.NoError(t, err)
	assert.False(t, c.UsesReadiness(attribute.Cluster))
	assert.Empty(t, c.ClustersWithAttributes())
}

func TestCache_NotifiesOfAttributesOfOtherReplicasAndSkipsMalformedOnes(t *testing.T) {
	client := testenv.Etcd(t)
	changed := make(chan string, 100)
	_, c := running(t, client, Listener{AttributesChanged: func(clusterARN string) { changed <- clusterARN }})
	for _, malformed := range []string{"x/arn:i/2", "x", "%/arn:i/2"} {
		_, err := client.Put(t.Context(), "ecs/readiness/"+malformed, `{"State":"set"}`)
		require.NoError(t, err)
	}
	_, err := client.Put(t.Context(), "ecs/readiness/x/arn:i/1", `{"Cluster":"arn:cluster/a","State":"set"}`)
	require.NoError(t, err)
	assert.Equal(t, "arn:cluster/a", <-changed)
	_, held := c.ReadinessInputs("arn:cluster/a")
	require.Len(t, held, 1)
	assert.Equal(t, environment.AttributeKey{Name: "x", Instance: "arn:i/1"}, held[0].Key())
	_, err = client.Delete(t.Context(), "ecs/readiness/x/arn:i/1")
	require.NoError(t, err)
	assert.Equal(t, "arn:cluster/a", <-changed)
	assert.False(t, c.UsesReadiness("arn:cluster/a"))
}

func TestCache_IndexesEnvironmentsThatNameAnAttribute(t *testing.T) {
	s, c := running(t, testenv.Etcd(t))
	e := env("logs")
	spec := environment.Spec{TaskDefinition: e.DesiredTaskDefinition, ReadinessAttribute: "ready"}
	e.Revisions = []environment.Revision{{Number: 1, Spec: spec}}
	require.NoError(t, s.Create(t.Context(), env("metrics")))
	require.NoError(t, s.Create(t.Context(), e))
	testenv.Eventually(t, func() bool { return c.UsesReadiness(e.Cluster) })
	environments, _ := c.ReadinessInputs(e.Cluster)
	require.Len(t, environments, 1)
	assert.Equal(t, "logs", environments[0].Name)
	clusterARN, ok := c.ClusterOf("logs")
	assert.True(t, ok)
	assert.Equal(t, e.Cluster, clusterARN)
	require.NoError(t, s.Delete(t.Context(), "logs"))
	testenv.Eventually(t, func() bool { return !c.UsesReadiness(e.Cluster) })
	_, ok = c.ClusterOf("logs")
	assert.False(t, ok)
}
