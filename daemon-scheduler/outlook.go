package daemonscheduler

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/engine"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
)

// outlook is what the planner makes of the copies of etcd and of the clusters, which every replica has.
type outlook struct {
	records  *store.Store
	clusters clusterstate.Cluster
	settle   time.Duration
}

func (o outlook) state(e environment.Environment) (planner.State, bool) {
	now := time.Now()
	if !o.records.Synced() || !o.clusters.Fresh(now) {
		return planner.State{}, false
	}
	_, launches, _ := o.records.Copied(e.Name) // those of an environment that is not there yet are none
	s, _ := engine.BuildState(o.records, o.clusters, e)
	s.Launches, s.Fresh, s.Now, s.StartConfirmTimeout = launches, true, now, o.settle
	return s, true
}

// Counts are the environment's and, by id, its deployments'. A task that the current one has taken over counts as its own.
func (o outlook) Counts(e environment.Environment) (environment.Counts, map[string]environment.Counts, bool) {
	s, ok := o.state(e)
	if !ok {
		return environment.Counts{}, nil, false
	}
	current, _ := e.Current()
	of := map[string]environment.Counts{}
	for _, task := range s.Tasks {
		if !task.Live() {
			continue
		}
		by := task.StartedBy
		if e.Adopts(current, by) {
			by = current.ID
		}
		c := of[by]
		if task.Running() {
			c.Running++
		} else {
			c.Pending++
		}
		of[by] = c
	}
	return planner.Make(s).Counts, of, true
}

// Place tells what each instance does for the environment.
func (o outlook) Place(e environment.Environment) ([]environment.InstanceStatus, bool) {
	s, ok := o.state(e)
	if !ok {
		return nil, false
	}
	return planner.InstanceStatuses(s), true
}

// Foresee tells what would be done if the environment were e.
func (o outlook) Foresee(e environment.Environment) ([]environment.Step, bool) {
	s, ok := o.state(e)
	if !ok {
		return nil, false
	}
	return planner.DryRun(s), true
}
