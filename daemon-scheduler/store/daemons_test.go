package store

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func TestDaemonsAreKeptAsTheyAreLent(t *testing.T) {
	s := New(nil, testenv.Logger(t))
	e := env("logs")
	e.StoredVersion, e.Deployments = 1, map[string]environment.Deployment{"a": {ID: "a"}}
	s.copied.setEnvironment(e)
	lent := s.Daemons(e.Cluster)
	assert.Equal(t, map[string]int{"a": 0}, lent)
	assert.Zero(t, testing.AllocsPerRun(100, func() { s.Daemons(e.Cluster) }), "each look asks")

	e.StoredVersion, e.Deployments = 2, map[string]environment.Deployment{"b": {ID: "b"}}
	s.copied.setEnvironment(e)
	assert.Equal(t, map[string]int{"a": 0}, lent)
	assert.Equal(t, map[string]int{"b": 0}, s.Daemons(e.Cluster))
	s.copied.dropEnvironment(e.Name, 3)
	assert.Empty(t, s.Daemons(e.Cluster))
	assert.Empty(t, s.copied.daemons)
}
