package clusterstate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestPendingTimes_StandStillWhileTheInstanceCannotRunTasks(t *testing.T) {
	c := Cluster{pending: newPendingTimes()}
	starting := environment.Task{ARN: "t1", Instance: "i1", LastStatus: "PENDING", DesiredStatus: "RUNNING"}
	other := environment.Task{ARN: "t2", Instance: "i2", LastStatus: "PENDING", DesiredStatus: "RUNNING"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	minute := func(n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }
	after := func(n int) map[string]time.Duration {
		return c.PendingFor([]environment.Task{starting, other}, minute(n))
	}
	change := func(n int, canRunTasks bool) {
		c.pending.instanceChanged("i1", func(string) bool { return canRunTasks }, minute(n))
	}
	c.pending.add(starting, true, minute(0))
	c.pending.add(starting, false, minute(1)) // another event of the task
	assert.Equal(t, map[string]time.Duration{"t1": 2 * time.Minute}, after(2))
	change(3, false)
	change(4, false)
	assert.Equal(t, map[string]time.Duration{"t1": 3 * time.Minute}, after(60))
	change(60, true)
	change(61, true)
	assert.Equal(t, map[string]time.Duration{"t1": 5 * time.Minute}, after(62))

	c.pending.add(other, false, minute(62)) // its agent is away
	assert.Equal(t, map[string]time.Duration{"t1": 6 * time.Minute, "t2": 0}, after(63))
	starting.LastStatus = "RUNNING"
	assert.Equal(t, map[string]time.Duration{"t2": 0}, after(63))
	c.pending.remove("t1")
	c.pending.remove("t2")
	c.pending.remove("t2")
	assert.Empty(t, c.pending.byTask)
	assert.Empty(t, c.pending.byInstance)
	assert.Empty(t, Cluster{}.PendingFor([]environment.Task{starting}, at))
}
