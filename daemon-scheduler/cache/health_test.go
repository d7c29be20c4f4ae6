package cache

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func TestCache_HoldsTaskHealth(t *testing.T) {
	client := testenv.Etcd(t)
	s, c := running(t, client)
	changed := make(chan string, 100)
	_, other := running(t, client, Listener{EnvironmentChanged: func(name string) { changed <- name }})
	term := lead(t, s)
	h := environment.TaskHealth{
		Environment: "logs", Task: "arn:task/prod/1", Status: environment.HealthUnhealthy, Reason: "why",
	}
	before := c.Version("logs", "")
	var err error
	h.StoredVersion, err = s.CommitHealth(t.Context(), term, "logs", []environment.TaskHealth{h}, nil)
	require.NoError(t, err)
	for replica, cache := range map[string]*Cache{"holds its own commits at once": c, "decodes the same": other} {
		if cache == other {
			assert.Equal(t, "logs", <-changed)
		}
		assert.Equal(t, map[string]environment.TaskHealth{h.Task: h}, cache.TaskHealth("logs"), replica)
		assert.Equal(t, []string{"logs"}, cache.NamesWithHealth(), replica)
	}
	assert.NotEqual(t, before, c.Version("logs", ""))

	_, err = client.Put(t.Context(), "ecs/health/logs/"+h.Task, "{")
	require.NoError(t, err)
	assert.Equal(t, "logs", <-changed)
	malformed := other.TaskHealth("logs")[h.Task]
	assert.Empty(t, malformed.Status)
	testenv.Eventually(t, func() bool { return c.TaskHealth("logs")[h.Task] == malformed })
	_, err = s.CommitHealth(t.Context(), term, "logs", nil, []environment.TaskHealth{malformed})
	require.NoError(t, err)
	assert.Equal(t, "logs", <-changed)
	assert.Empty(t, other.TaskHealth("logs"))
	assert.Equal(t, before, c.Version("logs", ""))
	assert.Empty(t, c.NamesWithHealth())
}
