package robustness

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/internal/ecssim"
)

// wrong is what does not hold yet, by the check that found it.
type wrong struct{ check, what string }

type findings struct{ all []wrong }

func (f *findings) add(check, format string, args ...any) {
	f.all = append(f.all, wrong{check, fmt.Sprintf(format, args...)})
}

// checker looks at the whole world for what has to be so at rest.
type checker struct {
	*world
	store   *storeWatch
	users   *users
	mirrors []*informer.Informer
}

// all is what is not as it has to be.
func (c *checker) all(ctx context.Context) *findings {
	f := &findings{}
	if err := c.ready(ctx); err != nil {
		f.add("services become ready", "%s", err)
		return f
	}
	state, err := c.sim.state(ctx)
	if err != nil {
		f.add("the simulator answers", "%s", err)
		return f
	}
	if n := state.Queues[queueName]; n > 0 {
		f.add("the queue becomes empty", "%d messages", n)
	}
	if err := c.store.caughtUp(ctx); err != nil {
		f.add("etcd answers", "%s", err)
		return f
	}
	stored := c.store.stored()
	c.truth(f, state, stored)
	c.reads(ctx, f, state, stored)
	c.copies(f, stored)
	for _, d := range c.users.daemons() {
		c.daemon(ctx, f, d, state)
	}
	return f
}

// truth compares etcd's records with what the simulator holds.
func (c *checker) truth(f *findings, state ecssim.State, stored map[string]change) {
	const check = "the store equals the simulator's truth"
	versions := map[string]int64{} // by ARN
	for key, now := range stored {
		if arn, ok := entityOf(key); ok && !now.deleted {
			versions[arn] = now.version
		}
	}
	for _, t := range state.Tasks {
		if versions[t.ARN] != t.Version {
			f.add(check, "%s is of version %d, %s; stored is %d", t.ARN, t.Version, t.LastStatus, versions[t.ARN])
		}
		delete(versions, t.ARN)
	}
	for _, i := range state.Instances {
		if have, found := versions[i.ARN]; have != i.Version && (found || i.Status != "INACTIVE") {
			f.add(check, "%s is of version %d, %s; stored is %d", i.ARN, i.Version, i.Status, have)
		}
		delete(versions, i.ARN)
	}
	for arn := range versions {
		if !strings.Contains(arn, probeAccount) {
			f.add(check, "%s is stored, and there is none", arn)
		}
	}
}

// reads compares what each replica lists with etcd and with the simulator.
func (c *checker) reads(ctx context.Context, f *findings, state ecssim.State, stored map[string]change) {
	const check = "every replica's lists equal the store"
	status := map[string]string{}
	for _, t := range state.Tasks {
		status[t.ARN] = t.LastStatus
	}
	for _, i := range state.Instances {
		status[i.ARN] = i.Status
	}
	for n, address := range c.css {
		for _, kind := range []string{"task", "instance"} {
			want := map[string]int64{}
			for key, now := range stored {
				if arn, _ := entityOf(key); strings.HasPrefix(key, "ecs/"+kind+"/") && !now.deleted {
					want[arn] = now.revision
				}
			}
			code, text, err := c.get(ctx, address, "/v1/"+kind+"s")
			var list shownTasks
			if err != nil || code != http.StatusOK || json.Unmarshal(text, &list) != nil {
				f.add(check, "css-%d: %ss: %d: %v", n, kind, code, err)
				continue
			}
			got := map[string]int64{}
			for _, item := range list.Items {
				arn, shown := item.Entity.TaskARN, item.Entity.LastStatus
				if kind == "instance" {
					arn, shown = item.Entity.ContainerInstanceARN, item.Entity.Status
				}
				got[arn], _ = strconv.ParseInt(item.Metadata.EntityVersion, 10, 64)
				if truth, known := status[arn]; known && truth != shown {
					f.add(check, "css-%d: %s is %s; it is shown as %s", n, arn, truth, shown)
				}
			}
			if different := differences(want, got); different != "" {
				f.add(check, "css-%d: %ss: %s", n, kind, different)
			}
		}
	}
}

// copies compares each mirror with etcd.
func (c *checker) copies(f *findings, stored map[string]change) {
	want := map[string]int64{}
	for key, now := range stored {
		if arn, _ := entityOf(key); !now.deleted {
			want[arn] = now.revision
		}
	}
	clusters := map[string]bool{"arn:aws:ecs:us-east-1" + probeAccount + "cluster/" + probeCluster: true, clusterARN("late"): true}
	for _, name := range fleetClusters {
		clusters[clusterARN(name)] = true
	}
	for n, m := range c.mirrors {
		got := map[string]int64{}
		for cluster := range clusters {
			for _, task := range m.Tasks(cluster) {
				got[*task.Entity.TaskARN], _ = strconv.ParseInt(*task.Metadata.EntityVersion, 10, 64)
			}
			for _, instance := range m.Instances(cluster) {
				got[*instance.Entity.ContainerInstanceARN], _ = strconv.ParseInt(*instance.Metadata.EntityVersion, 10, 64)
			}
		}
		if different := differences(want, got); different != "" {
			f.add("every mirror equals the store", "mirror %d: %s", n, different)
		}
	}
}

// differences is "" when two copies are the same.
func differences(want, got map[string]int64) string {
	for _, arn := range slices.Sorted(maps.Keys(want)) {
		if want[arn] != got[arn] {
			return fmt.Sprintf("%s is of version %d in etcd, and %d here", arn, want[arn], got[arn])
		}
	}
	for _, arn := range slices.Sorted(maps.Keys(got)) {
		if _, found := want[arn]; !found {
			return arn + " is not in etcd"
		}
	}
	return ""
}

// daemon checks that an environment is what its user was told, at each replica, and that its tasks are where they have to be.
func (c *checker) daemon(ctx context.Context, f *findings, d daemon, state ecssim.State) {
	const there, placed = "every acknowledged write is there", "one running task on each instance"
	live := map[string]map[string][]string{} // lastStatus by instance and startedBy
	for _, t := range state.Tasks {
		if t.Family != d.name {
			continue
		}
		if t.Live() {
			if live[t.InstanceARN] == nil {
				live[t.InstanceARN] = map[string][]string{}
			}
			live[t.InstanceARN][t.StartedBy] = append(live[t.InstanceARN][t.StartedBy], t.LastStatus)
		}
		if d.endKnown && t.CreatedAt.After(d.endedAt.Add(launchSettle)) {
			f.add("nothing starts after a DELETE", "%s was deleted at %s; %s was started at %s", d.name, d.endedAt, t.ARN, t.CreatedAt)
		}
	}
	path, good := "/v1/environments/"+d.name, map[string]bool{} // deployments of the revision that is kept up
	for n, address := range c.ds {
		status, text, err := c.get(ctx, address, path)
		var e shownEnvironment
		switch {
		case err != nil || status >= 500:
			f.add(there, "ds-%d: %s: %d: %v", n, d.name, status, err)
			return
		case status == http.StatusNotFound:
			if d.created && d.ended == "" {
				f.add(there, "ds-%d: %s was created, and is not there", n, d.name)
			}
			if len(live) > 0 && d.endKnown && strings.Contains(d.ended, "true") {
				f.add(placed, "%s is deleted with its tasks, and some live: %v", d.name, live)
			}
			return
		case d.endKnown:
			f.add(there, "ds-%d: %s was deleted, and is still there: %s", n, d.name, text)
			return
		case json.Unmarshal(text, &e) != nil || e.Status != "active":
			f.add(placed, "ds-%d: %s is %s", n, d.name, e.Status)
		}
		status, text, err = c.get(ctx, address, path+"/deployments")
		var list struct {
			Items []struct {
				ID, RolloutState string
				Revision         int
			}
		}
		if err != nil || status != http.StatusOK || json.Unmarshal(text, &list) != nil {
			f.add(there, "ds-%d: %s: deployments: %d: %v", n, d.name, status, err)
			return
		}
		ids, kept := map[string]bool{}, 0
		for _, one := range list.Items { // newest first
			ids[one.ID] = true
			if kept == 0 && one.RolloutState == "COMPLETED" {
				kept = one.Revision
			}
		}
		for _, one := range list.Items { // of the same revision, one deployment leaves the tasks of another
			good[one.ID] = good[one.ID] || one.Revision == kept
		}
		for _, id := range d.deployments {
			if !ids[id] {
				f.add(there, "ds-%d: %s: deployment %s is not there", n, d.name, id)
			}
		}
		status, text, err = c.get(ctx, address, path+"/revisions")
		for _, definition := range d.definitions {
			if err == nil && status == http.StatusOK && !strings.Contains(string(text), strconv.Quote(definition)) {
				f.add(there, "ds-%d: %s: no revision has %s", n, d.name, definition)
			}
		}
	}
	for _, i := range state.Instances {
		if i.ClusterARN != clusterARN(d.cluster) || i.Status != "ACTIVE" {
			continue
		}
		on := live[i.ARN]
		delete(live, i.ARN)
		right := len(on) == 1
		for by, statuses := range on {
			right = right && good[by] && slices.Equal(statuses, []string{"RUNNING"})
		}
		if !right {
			f.add(placed, "%s: on %s there is %v; %s", d.name, i.ARN, on, c.why(ctx, d.name, i.ARN))
		}
	}
	for arn, on := range live {
		f.add(placed, "%s: on %s, which is not one of its instances, there is %v", d.name, arn, on)
	}
}

// why is what daemon-scheduler says of an instance.
func (c *checker) why(ctx context.Context, name, arn string) string {
	_, text, err := c.get(ctx, c.ds[0], "/v1/environments/"+name+"/instances")
	var list struct{ Items []json.RawMessage }
	if err != nil || json.Unmarshal(text, &list) != nil {
		return "not known why"
	}
	for _, item := range list.Items {
		if strings.Contains(string(item), arn) {
			return string(item)
		}
	}
	return "not listed"
}

// counters watches, until ctx ends, that no instance ever has a task too many.
func (c *checker) counters(ctx context.Context) {
	seen, told := 0, map[string]bool{}
	for sleep(ctx, 500*time.Millisecond) {
		c.tooMany(ctx, &seen, told)
	}
}

func (c *checker) tooMany(ctx context.Context, seen *int, told map[string]bool) {
	counters, err := c.sim.counters(ctx)
	if err != nil {
		return
	}
	for ; *seen < len(counters.Violations); *seen++ {
		v := counters.Violations[*seen]
		c.report.violated("never two live tasks of one deployment on an instance", "%s: %d of deployment %s on %s, with %s",
			v.At.Format("15:04:05.000"), v.Live, v.StartedBy, v.InstanceARN, v.TaskARN)
	}
	for _, d := range c.users.daemons() {
		if peak := counters.PeakByFamily[d.name]; peak > d.most && !told[d.name] {
			told[d.name] = true
			c.report.violated("of an environment only the old and the new task, where it may", "%s: %d live tasks on an instance", d.name, peak)
		}
	}
}
