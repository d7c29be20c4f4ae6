package planner

import (
	"fmt"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// showPhantom adds a task to the cluster state that ECS does not know: an old event was replayed.
func (u *faultyFleet) showPhantom() {
	u.serial++
	history := u.state.Environment.History()
	at := u.state.Instances[u.IntN(len(u.state.Instances))].ARN
	created := u.ecsNow().Add(-time.Hour)
	task := environment.Task{
		ARN: fmt.Sprintf("phantom%03d", u.serial), Instance: at, StartedBy: history[u.IntN(len(history))].ID,
		LastStatus: "RUNNING", DesiredStatus: "RUNNING", CreatedAt: created, StartedAt: created,
	}
	u.logf("%s of %s appears on %s", task.ARN, task.StartedBy[:8], at)
	u.state.Tasks = append(u.state.Tasks, task)
}

func (u *faultyFleet) isPhantom(arn string) bool {
	_, known := u.tasks[arn]
	return !known
}

// removePhantoms removes phantoms from the cluster state, as a reconciliation with ECS does.
func (u *faultyFleet) removePhantoms() {
	u.state.Tasks = slices.DeleteFunc(slices.Clone(u.state.Tasks), func(t environment.Task) bool {
		return u.isPhantom(t.ARN)
	})
}

// permit returns those of a plan's actions that the engine executes: stops only if ECS confirms the tasks that they
// rely on as live. Phantoms that it finds leave the cluster state, and the budget no longer counts other tasks that ECS
// does not confirm.
func (u *faultyFleet) permit(plan Plan, actions []Action) []Action {
	if u.rounds++; u.rounds%4 == 0 {
		clear(u.state.Unconfirmed) // they are verified again
	}
	phantoms, withheld := map[string]bool{}, map[string]bool{} // by task ARN; by instance ARN
	counted := true
	for _, a := range actions {
		isDuplicate := a.Kind == Stop && a.StopReason == ReasonDuplicate
		if isDuplicate && u.isPhantom(a.Task) {
			phantoms[a.Task], withheld[a.Instance] = true, true
		}
		for _, task := range a.Kept {
			withheld[a.Instance] = withheld[a.Instance] || !u.confirms(task, phantoms)
		}
		if !a.MakesRoom() {
			continue
		}
		for _, task := range plan.Counted {
			if !u.confirms(task, phantoms) {
				counted = false
				u.state.Unconfirmed[task] = !phantoms[task]
			}
		}
	}
	u.state.Tasks = slices.DeleteFunc(slices.Clone(u.state.Tasks), func(t environment.Task) bool {
		return phantoms[t.ARN]
	})
	return slices.DeleteFunc(slices.Clone(actions), func(a Action) bool {
		return len(a.Kept) > 0 && withheld[a.Instance] || a.MakesRoom() && !counted
	})
}

// confirms reports whether ECS confirms that a task is live and stays so. It notes phantoms.
func (u *faultyFleet) confirms(arn string, phantoms map[string]bool) bool {
	if u.isPhantom(arn) {
		phantoms[arn] = true
		return false
	}
	return u.tasks[arn].Live() && !u.tasks[arn].Stopping()
}

// ignoreIfMissing removes a phantom whose stop ECS has rejected.
func (u *faultyFleet) ignoreIfMissing(arn string) {
	if u.isPhantom(arn) {
		u.state.Tasks = slices.DeleteFunc(slices.Clone(u.state.Tasks), func(t environment.Task) bool { return t.ARN == arn })
	}
}
