package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

func TestBakedFor_MeasuresByTheLeadersClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env := func(change func(*environment.Deployment)) environment.Environment {
			d := environment.Deployment{ID: "d", Status: environment.Running, BakeStartedAt: time.Now().Add(-time.Hour)}
			change(&d)
			e := environment.New("logs", "c", "agent:1", "")
			e.Deployments["d"] = d
			e.InProgressDeploymentID = "d"
			return e
		}
		began := time.Now()
		baking := env(func(d *environment.Deployment) { d.BakeStartedAt, d.BakedSeconds = began.Add(time.Hour), 60 })
		l := newLeaderState(store.Term{})
		defer l.close()
		assert.Equal(t, time.Minute, l.bakedFor(baking, time.Now()), "it continues from the record")
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 3*time.Minute, l.bakedFor(baking, time.Now()))
		recorded := env(func(d *environment.Deployment) { d.BakeStartedAt, d.BakedSeconds = began.Add(time.Hour), 120 })
		assert.Equal(t, 3*time.Minute, l.bakedFor(recorded, time.Now()), "a record of its own changes nothing")
		restarted := env(func(d *environment.Deployment) { d.BakeStartedAt, d.BakeRestart = began.Add(time.Hour), began })
		assert.Zero(t, l.bakedFor(restarted, time.Now()))
		time.Sleep(time.Second)
		assert.Equal(t, time.Second, l.bakedFor(restarted, time.Now()))
		assert.Zero(t, l.bakedFor(env(func(d *environment.Deployment) { d.BakeStartedAt = time.Time{} }), time.Now()))
		assert.Empty(t, l.bakes)
	})
}
