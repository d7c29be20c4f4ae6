package cache

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/testenv"
)

func TestCache_VersionChangesWithLaunchesAndDrainOrders(t *testing.T) {
	c := New(store.New(nil, testenv.Logger(t)), testenv.Logger(t))
	logs, other := env("logs"), env("other")
	logs.StoredVersion, logs.Deployments = 1, map[string]environment.Deployment{"a": {ID: "a"}}
	c.index.putEnvironment(logs)
	former := c.Version("logs", logs.Cluster)
	changes := func(what string, change func()) {
		t.Helper()
		change()
		now := c.Version("logs", logs.Cluster)
		assert.NotEqual(t, former, now, what)
		former = now
	}
	changes("a launch", func() { c.index.putLaunch("logs", environment.Launch{Instance: "i1", StoredVersion: 2}) })
	changes("the launch's next state", func() {
		c.index.putLaunch("logs", environment.Launch{Instance: "i1", StoredVersion: 3})
	})
	changes("another launch", func() { c.index.putLaunch("logs", environment.Launch{Instance: "i2", StoredVersion: 4}) })
	changes("a removed launch", func() { c.index.removeLaunch("logs", "i2", 5) })
	other.StoredVersion, other.Deployments = 6, map[string]environment.Deployment{"b": {ID: "b"}}
	changes("another environment's deployment", func() { c.index.putEnvironment(other) })

	c.index.putLaunch("logs", environment.Launch{Instance: "i1", StoredVersion: 3})
	c.index.putLaunch("other", environment.Launch{Instance: "i1", StoredVersion: 7})
	logs.StoredVersion, logs.Paused = 8, true
	c.index.putEnvironment(logs)
	assert.Equal(t, former, c.Version("logs", logs.Cluster), "a known launch, another environment's, or the record alone")
}
