package cache

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/testenv"
)

func TestCache_DrainOrdersAreCopiedOnWrite(t *testing.T) {
	c := New(store.New(nil, testenv.Logger(t)), testenv.Logger(t))
	e := env("logs")
	e.StoredVersion, e.Deployments = 1, map[string]environment.Deployment{"a": {ID: "a"}}
	c.index.putEnvironment(e)
	shared := c.DrainOrders(e.Cluster)
	assert.Equal(t, map[string]int{"a": 0}, shared)
	assert.Zero(t, testing.AllocsPerRun(100, func() { c.DrainOrders(e.Cluster) }), "each reconciliation reads them")

	e.StoredVersion, e.Deployments = 2, map[string]environment.Deployment{"b": {ID: "b"}}
	c.index.putEnvironment(e)
	assert.Equal(t, map[string]int{"a": 0}, shared)
	assert.Equal(t, map[string]int{"b": 0}, c.DrainOrders(e.Cluster))
	c.index.removeEnvironment(e.Name, 3)
	assert.Empty(t, c.DrainOrders(e.Cluster))
	assert.Empty(t, c.index.drainOrders.byCluster)
}
