package bench

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/backoff"
)

const (
	scaleSection      = "scale"
	clustersPerRegion = 50
	scaleInstances    = 100 // in each cluster
	scaleFamily       = "agent"
	scaleTimeout      = 15 * time.Minute
	scaleRest         = 30 * time.Second // of measuring the services at rest
)

// scaleRegions are the regions of the section scale. The first one is the services' own.
var scaleRegions = []string{
	region, "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "eu-west-1", "eu-central-1", "ap-south-1",
	"ap-southeast-1", "ap-northeast-1",
}

// scaleCluster is a cluster of the section scale.
type scaleCluster struct{ region, name string }

func (c scaleCluster) arn() string {
	return fmt.Sprintf("arn:aws:ecs:%s:%s:cluster/%s", c.region, simAccount, c.name)
}

// scaleClusters returns the clusters of all regions, one of each region after another, so that any first part of them
// lies in all regions.
func scaleClusters() (all []scaleCluster) {
	for n := range clustersPerRegion {
		for _, name := range scaleRegions {
			all = append(all, scaleCluster{name, clusterName(n)})
		}
	}
	return all
}

// scale is one Blox with 500 clusters in ten regions.
type scale struct {
	*system
	clusters  []scaleCluster
	scheduler *scheduler
	table     *table
}

// measureScale measures one Blox with 50,000 container instances in 500 clusters and ten regions: the first
// reconciliation, a deployment in every cluster, rest, the tasks of a day's peak for the duration of --load, and
// restarts.
func measureScale(ctx context.Context, cfg config, t *table) error {
	flags := []string{"--api-limits", "--task-definition", scaleFamily, "--instances", fmt.Sprint(scaleInstances)}
	for _, name := range scaleRegions {
		flags = append(flags, "--region", name)
	}
	for n := range clustersPerRegion {
		flags = append(flags, "--cluster", clusterName(n))
	}
	s, err := newSystem(ctx, cfg, flags...)
	if err != nil {
		return err
	}
	defer s.close()
	w := &scale{system: s, clusters: scaleClusters(), table: t}
	for _, step := range []func(context.Context) error{
		w.measureFirstStart, w.measureDeployments, w.measureRest, w.measureDay, w.measureRestarts,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *scale) add(name, unit string, value float64) {
	w.table.add(scaleSection, name, unit, single(value))
}

// stateFlags returns the flags of a cluster-state-service that serves all regions.
func (w *scale) stateFlags() []string {
	flags := []string{"--etcd-endpoint", w.endpoint}
	for _, name := range scaleRegions {
		flags = append(flags, "--source", "queue="+queueName+",region="+name)
	}
	return flags
}

// launch starts both services without waiting for their readiness.
func (w *scale) launch() error {
	css, err := w.system.launch("cluster-state-service", clusterStateRole, w.stateFlags()...)
	if err != nil {
		return err
	}
	ds, err := w.system.launch("daemon-scheduler", schedulerRole,
		"--etcd-endpoint", w.endpoint, "--css-endpoint", css.url)
	w.scheduler = &scheduler{ds, css}
	return err
}

// measureFirstStart measures the start with an empty etcd. The queues hold an event of each instance.
func (w *scale) measureFirstStart(ctx context.Context) error {
	if err := w.launch(); err != nil {
		return err
	}
	if err := w.scheduler.clusterState.awaitReady(ctx); err != nil {
		return err
	}
	if err := w.scheduler.awaitReady(ctx); err != nil {
		return err
	}
	css := w.scheduler.clusterState
	w.add("first start: cluster-state-service ready", "s", css.startupTime.Seconds())
	if err := w.scheduler.awaitInstances(ctx, len(w.clusters)*scaleInstances); err != nil {
		return err
	}
	w.add("first start: all instances listed", "s", time.Since(css.startedAt).Seconds())
	w.addUse("after the first start")
	return nil
}

// addUse adds the memory of both services.
func (w *scale) addUse(when string) {
	w.add("cluster-state-service "+when+": resident memory", "MiB", w.scheduler.clusterState.memory("VmRSS"))
	w.add("daemon-scheduler "+when+": resident memory", "MiB", w.scheduler.memory("VmRSS"))
}

// measureDeployments deploys an environment in each cluster at once.
func (w *scale) measureDeployments(ctx context.Context) error {
	start := time.Now()
	var requests errgroup.Group
	requests.SetLimit(senders)
	for n, cluster := range w.clusters {
		requests.Go(func() error {
			_, err := w.scheduler.deployWith(ctx, fmt.Sprintf("agent-%d", n), cluster.arn(), `{}`)
			return err
		})
	}
	if err := requests.Wait(); err != nil {
		return err
	}
	w.add("500 environments created and deployed: all accepted", "s", time.Since(start).Seconds())
	if err := w.scheduler.awaitEvery(ctx, time.Second, scaleTimeout, "tasks on all instances", func() (bool, error) {
		running, err := w.runningDaemons(ctx)
		return running == len(w.clusters)*scaleInstances, err
	}); err != nil {
		return err
	}
	w.add("the same: 50,000 tasks running", "s", time.Since(start).Seconds())
	w.addUse("with 50,000 tasks")
	return w.addDatabase(ctx, "with 50,000 tasks")
}

// runningDaemons returns the number of running tasks of all environments.
func (w *scale) runningDaemons(ctx context.Context) (running int, err error) {
	var list struct{ Items []struct{ RunningCount int } }
	err = request(ctx, http.MethodGet, w.scheduler.url+"/v1/environments", "", &list)
	for _, e := range list.Items {
		running += e.RunningCount
	}
	return running, err
}

func (w *scale) addDatabase(ctx context.Context, when string) error {
	status, err := w.etcd.Status(ctx, w.endpoint)
	if err == nil {
		w.add("etcd "+when+": database in use", "MiB", float64(status.DbSizeInUse)/mib)
	}
	return err
}

// measureRest measures the services while nothing changes.
func (w *scale) measureRest(ctx context.Context) error {
	backoff.Sleep(ctx, 5*time.Second) // the last events are still under way
	return w.measureCPU("at rest", func() error {
		if !backoff.Sleep(ctx, scaleRest) {
			return ctx.Err()
		}
		return nil
	})
}

// measureCPU adds the cores that each service uses during the period.
func (w *scale) measureCPU(when string, period func() error) error {
	start, css, ds := time.Now(), w.scheduler.clusterState.cpu(), w.scheduler.cpu()
	if err := period(); err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	w.add("cluster-state-service "+when+": CPU", "cores", (w.scheduler.clusterState.cpu()-css)/seconds)
	w.add("daemon-scheduler "+when+": CPU", "cores", (w.scheduler.cpu()-ds)/seconds)
	return nil
}

// measureRestarts restarts both services on the filled etcd.
func (w *scale) measureRestarts(ctx context.Context) error {
	w.scheduler.stop()
	w.scheduler.clusterState.stop()
	if err := w.launch(); err != nil {
		return err
	}
	if err := w.scheduler.clusterState.awaitReady(ctx); err != nil {
		return err
	}
	if err := w.scheduler.awaitReady(ctx); err != nil {
		return err
	}
	w.add("restart: cluster-state-service ready", "s", w.scheduler.clusterState.startupTime.Seconds())
	w.add("restart: daemon-scheduler ready", "s", w.scheduler.startupTime.Seconds())
	w.add("cluster-state-service after the restart: peak memory", "MiB", w.scheduler.clusterState.memory("VmHWM"))
	w.add("daemon-scheduler after the restart: peak memory", "MiB", w.scheduler.memory("VmHWM"))
	return nil
}
