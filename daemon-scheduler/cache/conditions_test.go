package cache

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func TestCache_HoldsObservedConditions(t *testing.T) {
	client := testenv.Etcd(t)
	s, c := running(t, client)
	changed := make(chan string, 100)
	_, other := running(t, client, Listener{EnvironmentChanged: func(name string) { changed <- name }})
	require.NoError(t, s.Create(t.Context(), env("logs")))
	assert.Equal(t, "logs", <-changed)
	stored, err := s.Get(t.Context(), "logs")
	require.NoError(t, err)
	denied := environment.Condition{Type: environment.ConditionAccessDenied, Status: environment.ConditionTrue}
	o := environment.ObservedConditions{
		Environment: "logs", Incarnation: stored.Incarnation, Conditions: []environment.Condition{denied},
	}
	term := lead(t, s)
	o.StoredVersion, err = s.CommitConditions(t.Context(), term, o)
	require.NoError(t, err)
	assert.Equal(t, o, c.ObservedConditions("logs"), "own commits are held at once")
	assert.Equal(t, "logs", <-changed)
	assert.Equal(t, o, other.ObservedConditions("logs"), "another replica decodes the same record")

	_, err = client.Put(t.Context(), "ecs/condition/logs", "{")
	require.NoError(t, err)
	assert.Equal(t, "logs", <-changed)
	malformed := other.ObservedConditions("logs")
	assert.Empty(t, malformed.Conditions)
	assert.Greater(t, malformed.StoredVersion, o.StoredVersion, "the leader can remove it")
	testenv.Eventually(t, func() bool { return c.ObservedConditions("logs").StoredVersion == malformed.StoredVersion })
	malformed.Incarnation = stored.Incarnation
	_, err = s.CommitConditions(t.Context(), term, malformed)
	require.NoError(t, err)
	assert.Equal(t, "logs", <-changed)
	assert.Zero(t, other.ObservedConditions("logs").StoredVersion)
}
