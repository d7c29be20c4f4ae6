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
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecssim"
)

// finding is a promise that does not hold yet.
type finding struct{ promise, detail string }

type findings struct{ list []finding }

func (f *findings) add(promise, format string, args ...any) {
	f.list = append(f.list, finding{promise, fmt.Sprintf(format, args...)})
}

// checker checks the whole system.
type checker struct {
	*system
	watch     *etcdWatch
	users     *userClient
	informers []*informer.Informer
	streams   []*streamClient
	surfaces  surfaceCheck
	kinesis   bool // nothing reads the queue
}

// awaitRecovery waits until every check passes. Findings that remain after the timeout are violations.
func (c *checker) awaitRecovery(ctx context.Context, timeout time.Duration) error {
	for began := time.Now(); ; {
		f := c.checkAll(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(f.list) == 0 {
			c.history.printf("recovered %s after the last fault", time.Since(began).Round(100*time.Millisecond))
			return nil
		}
		if time.Since(began) > timeout {
			for _, one := range f.list {
				c.history.violation(one.promise, "%s after the last fault: %s", timeout, one.detail)
			}
			return nil
		}
		c.history.event("not recovered yet", map[string]any{"first": f.list[0].detail, "findings": len(f.list)})
		backoff.Sleep(ctx, time.Second)
	}
}

// checkAll checks the promises of Blox that hold without faults.
func (c *checker) checkAll(ctx context.Context) *findings {
	f := &findings{}
	if err := c.checkReady(ctx); err != nil {
		f.add("services become ready", "%s", err)
		return f
	}
	if n, err := c.sim.queued(ctx); !c.kinesis && (err != nil || n > 0) {
		f.add("the queue becomes empty", "%d messages: %v", n, err)
		return f
	}
	state, err := c.sim.state(ctx)
	if err != nil {
		f.add("the simulator responds", "%s", err)
		return f
	}
	if _, err := c.watch.awaitCurrent(ctx); err != nil {
		f.add("etcd responds", "%s", err)
		return f
	}
	stored := c.watch.snapshot()
	c.checkStore(f, state, stored)
	c.checkLists(ctx, f, state, stored)
	c.checkInformers(f, stored)
	c.checkStreams(f, stored)
	environments := c.users.snapshot()
	for _, e := range environments {
		c.checkEnvironment(ctx, f, e, state)
	}
	if len(f.list) == 0 { // the surfaces differ while the tasks change
		c.surfaces.check(ctx, f, environments, state)
		c.surfaces.checkStateMetrics(ctx, f, stored)
	}
	return f
}

// checkStore compares etcd's records with the simulator's state.
func (c *checker) checkStore(f *findings, state ecssim.State, stored map[string]change) {
	const promise = "the store equals the simulator's state"
	versions := map[string]int64{} // by ARN
	for key, latest := range stored {
		if arn, ok := entityARN(key); ok && !latest.deleted {
			versions[arn] = latest.version
		}
	}
	for _, t := range state.Tasks {
		if versions[t.ARN] != t.Version {
			f.add(promise, "%s has version %d (%s); stored is %d", t.ARN, t.Version, t.LastStatus, versions[t.ARN])
		}
		delete(versions, t.ARN)
	}
	for _, i := range state.Instances {
		if version, found := versions[i.ARN]; version != i.Version && (found || i.Status != "INACTIVE") {
			f.add(promise, "%s has version %d (%s); stored is %d", i.ARN, i.Version, i.Status, version)
		}
		delete(versions, i.ARN)
	}
	for arn := range versions {
		if !strings.Contains(arn, probeAccount) {
			f.add(promise, "%s is stored, but does not exist", arn)
		}
	}
}

// checkLists compares each replica's lists with etcd and with the simulator.
func (c *checker) checkLists(ctx context.Context, f *findings, state ecssim.State, stored map[string]change) {
	statuses := map[string]string{} // by ARN
	for _, t := range state.Tasks {
		statuses[t.ARN] = t.LastStatus
	}
	for _, i := range state.Instances {
		statuses[i.ARN] = i.Status
	}
	for n := range c.css {
		for _, kind := range []string{"task", "instance"} {
			c.checkList(ctx, f, n, kind, statuses, stored)
		}
	}
}

func (c *checker) checkList(
	ctx context.Context, f *findings, replica int, kind string, statuses map[string]string, stored map[string]change,
) {
	const promise = "every replica's lists equal the store"
	want, got := map[string]int64{}, map[string]int64{}
	for key, latest := range stored {
		if arn, _ := entityARN(key); strings.HasPrefix(key, recordPrefix+kind+"/") && !latest.deleted {
			want[arn] = latest.revision
		}
	}
	r, err := c.getList(ctx, c.css[replica], "/v1/"+kind+"s")
	var list listJSON
	if err != nil || r.status != http.StatusOK || json.Unmarshal(r.body, &list) != nil {
		f.add(promise, "css-%d: %ss: %d: %v", replica, kind, r.status, err)
		return
	}
	for _, item := range list.Items {
		arn, status := item.Entity.TaskARN, item.Entity.LastStatus
		if kind == "instance" {
			arn, status = item.Entity.ContainerInstanceARN, item.Entity.Status
		}
		got[arn] = item.version()
		if want, known := statuses[arn]; known && want != status {
			f.add(promise, "css-%d: %s is %s, listed as %s", replica, arn, want, status)
		}
	}
	if difference := firstDifference(want, got); difference != "" {
		f.add(promise, "css-%d: %ss: %s", replica, kind, difference)
	}
}

// checkInformers compares each informer with etcd.
func (c *checker) checkInformers(f *findings, stored map[string]change) {
	want := map[string]int64{}
	for key, latest := range stored {
		if arn, _ := entityARN(key); !latest.deleted {
			want[arn] = latest.revision
		}
	}
	clusters := append(clusterARNs(c.places), probeClusterARN(), home.clusterARN(lateName))
	for _, name := range loadClusterNames() {
		clusters = append(clusters, home.clusterARN(name))
	}
	for _, p := range c.places {
		clusters = append(clusters, p.clusterARN(outageName))
	}
	for n, i := range c.informers {
		got := map[string]int64{}
		for _, cluster := range clusters {
			for _, task := range i.Tasks(cluster) {
				got[*task.Entity.TaskARN] = parseVersion(*task.Metadata.EntityVersion)
			}
			for _, instance := range i.Instances(cluster) {
				got[*instance.Entity.ContainerInstanceARN] = parseVersion(*instance.Metadata.EntityVersion)
			}
		}
		if difference := firstDifference(want, got); difference != "" {
			f.add("every informer equals the store", "informer %d: %s", n, difference)
		}
	}
}

// checkStreams compares each stream client's copy with etcd.
func (c *checker) checkStreams(f *findings, stored map[string]change) {
	for _, s := range c.streams {
		want := map[string]int64{}
		for key, latest := range stored {
			if arn, _ := entityARN(key); strings.HasPrefix(key, s.prefix()) && !latest.deleted {
				want[arn] = latest.revision
			}
		}
		if difference := firstDifference(want, s.copy()); difference != "" {
			f.add("every stream client's copy equals the store", "%s, client %d: %s", s.kind, s.replica, difference)
		}
	}
}

func parseVersion(text string) int64 {
	version, _ := strconv.ParseInt(text, 10, 64)
	return version
}

// firstDifference returns "" if both hold the same versions by ARN.
func firstDifference(want, got map[string]int64) string {
	for _, arn := range slices.Sorted(maps.Keys(want)) {
		if want[arn] != got[arn] {
			return fmt.Sprintf("%s has version %d in etcd, %d here", arn, want[arn], got[arn])
		}
	}
	for _, arn := range slices.Sorted(maps.Keys(got)) {
		if _, found := want[arn]; !found {
			return arn + " is not in etcd"
		}
	}
	return ""
}

// watchTaskCounts checks, until ctx ends, that no instance ever has more tasks than allowed.
func (c *checker) watchTaskCounts(ctx context.Context) {
	checked, reported := map[place]int{}, map[string]bool{}
	for backoff.Sleep(ctx, 500*time.Millisecond) {
		for _, p := range c.places {
			checked[p] = c.checkTaskCounts(ctx, c.sim.in(p), checked[p], reported)
		}
	}
}

// checkTaskCounts checks a simulator's counters after the first ones, and returns the number of those checked.
func (c *checker) checkTaskCounts(ctx context.Context, sim *simulator, checked int, reported map[string]bool) int {
	counters, err := sim.counters(ctx)
	if err != nil {
		return checked
	}
	for _, v := range counters.Violations[min(checked, len(counters.Violations)):] {
		c.history.violation("never two live tasks of one deployment on an instance",
			"%s: %d of deployment %s on %s, with %s",
			v.At.Format("15:04:05.000"), v.Live, v.StartedBy, v.InstanceARN, v.TaskARN)
	}
	for _, e := range c.users.snapshot() {
		if peak := counters.PeakByFamily[e.name]; peak > e.maxTasks && !reported[e.name] {
			reported[e.name] = true
			c.history.violation("two tasks of an environment only while maximumPercent allows it",
				"%s: %d live tasks on an instance", e.name, peak)
		}
	}
	return max(checked, len(counters.Violations))
}
