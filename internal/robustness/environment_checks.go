package robustness

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/blox/blox/internal/ecssim"
)

const (
	promiseDurable = "every acknowledged write is present"
	promisePlaced  = "one running task on each instance"
	promiseDeleted = "nothing starts after a DELETE"
)

// liveTasks holds each live task's lastStatus, by instance ARN and startedBy.
type liveTasks map[string]map[string][]string

// checkEnvironment checks that each replica returns the acknowledged environment, and that each instance has its task.
func (c *checker) checkEnvironment(ctx context.Context, f *findings, e userEnvironment, state ecssim.State) {
	live := c.liveTasks(f, e, state)
	current := map[string]bool{} // IDs of the deployments of the current task definition
	for n, address := range c.ds {
		if !c.checkReplica(ctx, f, e, n, address, live, current) {
			return
		}
	}
	for _, i := range state.Instances {
		if i.ClusterARN != e.cluster || i.Status != "ACTIVE" {
			continue
		}
		tasks := live[i.ARN]
		delete(live, i.ARN)
		placed := len(tasks) == 1
		for startedBy, statuses := range tasks {
			placed = placed && current[startedBy] && slices.Equal(statuses, []string{"RUNNING"})
		}
		if !placed {
			f.add(promisePlaced, "%s: tasks on %s: %v; %s", e.name, i.ARN, tasks, c.instanceStatus(ctx, e.name, i.ARN))
		}
	}
	for arn, tasks := range live {
		f.add(promisePlaced, "%s: tasks on %s, which is not one of its instances: %v", e.name, arn, tasks)
	}
}

// liveTasks returns the environment's live tasks, and checks that none was started after its deletion.
func (c *checker) liveTasks(f *findings, e userEnvironment, state ecssim.State) liveTasks {
	live := liveTasks{}
	for _, t := range state.Tasks {
		if t.Family != e.name {
			continue
		}
		if t.Live() {
			if live[t.InstanceARN] == nil {
				live[t.InstanceARN] = map[string][]string{}
			}
			live[t.InstanceARN][t.StartedBy] = append(live[t.InstanceARN][t.StartedBy], t.LastStatus)
		}
		if e.deleted && t.CreatedAt.After(e.deletedAt.Add(startConfirmTimeout)) {
			f.add(promiseDeleted, "%s was deleted at %s; %s was started at %s", e.name, e.deletedAt, t.ARN, t.CreatedAt)
		}
	}
	return live
}

// checkReplica checks the environment at one replica and adds its current deployments. It returns false if the
// environment's tasks cannot be checked.
func (c *checker) checkReplica(
	ctx context.Context, f *findings, e userEnvironment, n int, address string, live liveTasks, current map[string]bool,
) bool {
	r, err := c.get(ctx, address, "/v1/environments/"+e.name)
	var shown environmentJSON
	switch {
	case err != nil || r.status >= 500:
		f.add(promiseDurable, "ds-%d: %s: %d: %v", n, e.name, r.status, err)
		return false
	case r.status == http.StatusNotFound:
		if e.created && !e.deleteSent {
			f.add(promiseDurable, "ds-%d: %s was created, but does not exist", n, e.name)
		}
		if len(live) > 0 && e.deleted && e.stopTasks {
			f.add(promisePlaced, "%s was deleted with its tasks, but some are live: %v", e.name, live)
		}
		return false
	case e.deleted:
		f.add(promiseDurable, "ds-%d: %s was deleted, but exists: %s", n, e.name, r.body)
		return false
	case json.Unmarshal(r.body, &shown) != nil || shown.Status != "active":
		f.add(promisePlaced, "ds-%d: %s is %s", n, e.name, shown.Status)
	}
	if !c.checkDeployments(ctx, f, e, n, address, current) {
		return false
	}
	c.checkRevisions(ctx, f, e, n, address)
	return true
}

// checkDeployments checks that every acknowledged deployment exists, and adds those of the current task
// definition.
func (c *checker) checkDeployments(
	ctx context.Context, f *findings, e userEnvironment, n int, address string, current map[string]bool,
) bool {
	r, err := c.get(ctx, address, "/v1/environments/"+e.name+"/deployments")
	var list deploymentsJSON
	if err != nil || r.status != http.StatusOK || json.Unmarshal(r.body, &list) != nil {
		f.add(promiseDurable, "ds-%d: %s: deployments: %d: %v", n, e.name, r.status, err)
		return false
	}
	ids, definition := map[string]bool{}, ""
	for _, d := range list.Items { // newest first
		ids[d.ID] = true
		if definition == "" && d.RolloutState == "COMPLETED" {
			definition = d.TaskDefinition
		}
	}
	for _, d := range list.Items { // a deployment keeps equal tasks that another deployment started
		current[d.ID] = current[d.ID] || d.TaskDefinition == definition
	}
	for _, id := range e.deployments {
		if !ids[id] {
			f.add(promiseDurable, "ds-%d: %s: deployment %s does not exist", n, e.name, id)
		}
	}
	return true
}

// checkRevisions checks that every acknowledged task definition has a revision.
func (c *checker) checkRevisions(ctx context.Context, f *findings, e userEnvironment, n int, address string) {
	r, err := c.get(ctx, address, "/v1/environments/"+e.name+"/revisions")
	if err != nil || r.status != http.StatusOK {
		return
	}
	for _, definition := range e.taskDefinitions {
		if !strings.Contains(string(r.body), strconv.Quote(definition)) {
			f.add(promiseDurable, "ds-%d: %s: no revision has %s", n, e.name, definition)
		}
	}
}

// instanceStatus returns what daemon-scheduler reports about an instance.
func (c *checker) instanceStatus(ctx context.Context, environment, arn string) string {
	r, err := c.get(ctx, c.ds[0], "/v1/environments/"+environment+"/instances")
	var list struct{ Items []json.RawMessage }
	if err != nil || json.Unmarshal(r.body, &list) != nil {
		return "status unknown"
	}
	for _, item := range list.Items {
		if strings.Contains(string(item), arn) {
			return string(item)
		}
	}
	return "not listed"
}
