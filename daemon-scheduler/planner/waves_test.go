package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/query"
)

func spreadByZone(minimum, maximum int) environment.Spec {
	configuration := percent(minimum, maximum)
	configuration.SpreadBy = "attribute:zone"
	return environment.Spec{DeploymentConfiguration: configuration}
}

// replaced returns in how many instances of each zone a plan makes room for new tasks, and does what it plans.
func (f *fleet) replaced() map[string]int {
	f.copyTasks(1)
	f.observe()
	zones := map[string]int{}
	plan := Make(f.state)
	f.state.Environment, _ = f.state.Environment.RecordProgress(plan.Deployment, plan.Progress, f.state.Now)
	for _, a := range plan.Actions {
		if a.MakesRoom() || a.Kind == Start && f.hasLive(a.Instance) {
			zones[f.zone(a.Instance)]++
		}
		f.do(a)
	}
	return zones
}

func (f *fleet) hasLive(instance string) bool {
	for _, task := range f.tasks {
		if task.Instance == instance && task.Live() {
			return true
		}
	}
	return false
}

func (f *fleet) zone(arn string) string {
	for _, i := range f.state.Instances {
		if i.ARN == arn {
			zone, _ := i.Attribute("zone")
			return zone
		}
	}
	return ""
}

// advance lets stopping tasks stop, pending ones run, and a minute pass.
func (f *fleet) advance() {
	for arn, task := range f.tasks {
		switch {
		case task.Live() && task.Stopping():
			f.die(arn)
		case task.LastStatus == "PENDING":
			f.run(arn)
		}
	}
	f.state.Now = f.state.Now.Add(time.Minute)
}

func TestWaves_FinishOneValueBeforeTheNext(t *testing.T) {
	for name, spec := range map[string]environment.Spec{
		"in place":    spreadByZone(0, 100),
		"with surge":  spreadByZone(100, 200),
		"in batches":  spreadByZone(80, 100),
		"one by one":  spreadByZone(90, 100),
		"with a few":  spreadByZone(60, 130),
		"start first": spreadByZone(50, 200),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1, 12, spec)
			f.state.Instances[0].Attributes = nil // the last wave
			f.state.Instances[1].Attributes = query.Map{}
			var order []string
			for range 80 {
				zones := f.replaced()
				require.LessOrEqual(t, len(zones), 1, "tasks of two waves are replaced at once: %v", zones)
				for zone := range zones {
					if len(order) == 0 || order[len(order)-1] != zone {
						order = append(order, zone)
					}
				}
				f.advance()
			}
			assert.Equal(t, []string{"a", "b", "c", ""}, order)
			d, _ := f.state.Environment.Current()
			assert.Equal(t, environment.Completed, d.Status)
		})
	}
}

// The first wave has six instances, of which the plan may replace all at once.
func TestWaves_WaitForWhatMayFinish(t *testing.T) {
	begin := func(t *testing.T) *fleet {
		f := newFleet(t, 1, 6, spreadByZone(0, 100))
		require.Equal(t, map[string]int{"a": 2}, f.replaced())
		f.advance()
		f.replaced() // starts
		return f
	}
	t.Run("a task that does not run holds up the next wave", func(t *testing.T) {
		f := begin(t)
		f.state.Now = f.state.Now.Add(time.Hour)
		assert.Empty(t, f.replaced())
		var waiting int
		for _, w := range Make(f.state).Waits {
			if w.Reason == "Waiting for the rollout: 2 instances of the wave with zone = a must finish first." {
				waiting++
			}
		}
		assert.Equal(t, 4, waiting)
	})
	t.Run("an instance that failed holds up nothing", func(t *testing.T) {
		f := begin(t)
		for _, i := range []string{"i000", "i003"} {
			launch := f.state.Launches[i]
			for arn, task := range f.tasks {
				if task.Instance == i && task.Live() {
					f.die(arn)
				}
			}
			f.put(FailedLaunch(launch, "RESOURCE:MEMORY", "", f.state.Now))
		}
		assert.Equal(t, map[string]int{"b": 2}, f.replaced())
	})
	t.Run("a lost agent holds up the next wave for ten minutes", func(t *testing.T) {
		f := begin(t)
		f.advance()
		f.state.Instances[0].AgentConnected = false
		f.state.DisconnectedSince = map[string]time.Time{"i000": f.state.Now}
		assert.Empty(t, f.replaced())
		f.state.Now = f.state.Now.Add(unreachableGrace)
		f.advance()
		assert.Equal(t, map[string]int{"b": 2}, f.replaced())
	})
	t.Run("an instance without a task gets one at once", func(t *testing.T) {
		f := begin(t)
		f.state.Instances = append(f.state.Instances, environment.Instance{
			ARN: "late", Status: "ACTIVE", AgentConnected: true, Attributes: query.Map{"zone": "c"},
		})
		f.copyTasks(1)
		var started []string
		for _, a := range Make(f.state).Actions {
			if a.Kind == Start {
				started = append(started, a.Instance)
			}
		}
		assert.Equal(t, []string{"late"}, started)
	})
}

func TestWaves_AreBatchesOfADryRun(t *testing.T) {
	f := newFleet(t, 1, 6, spreadByZone(0, 100))
	zones, batch := "", 0
	for _, step := range DryRun(f.state) {
		if step.Action != "stop" {
			continue
		}
		if step.Batch != batch {
			zones, batch = zones+" ", step.Batch
		}
		zones += f.zone(step.Instance)
	}
	assert.Equal(t, " aa bb cc", zones)
}
