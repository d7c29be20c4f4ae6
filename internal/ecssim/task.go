package ecssim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/blox/blox/internal/arn"
)

const (
	statusProvisioning   = "PROVISIONING"
	statusPending        = "PENDING"
	statusActivating     = "ACTIVATING"
	statusRunning        = "RUNNING"
	statusDeactivating   = "DEACTIVATING"
	statusStopping       = "STOPPING"
	statusDeprovisioning = "DEPROVISIONING"
	statusStopped        = "STOPPED"

	launchEC2      = "EC2"
	launchFargate  = "FARGATE"
	launchExternal = "EXTERNAL"
	launchManaged  = "MANAGED_INSTANCES"
)

// task is an ECS task.
type task struct {
	seq                       int64
	id, arn                   string
	cluster                   *cluster
	instance                  *instance // nil on Fargate
	definition                *definition
	service                   *service          // nil for a standalone task
	provider                  *capacityProvider // of the strategy that placed it; nil for none
	launchType                string
	startedBy, group          string
	exec                      bool
	overrides                 overrides
	reserved                  resources
	lastStatus, desiredStatus string
	version                   int64
	containers                []*container
	eni                       *networkInterface // nil unless awsvpc
	volumes                   []*volume
	zone                      string
	createdAt, pullStartedAt  time.Time
	pullStoppedAt, startedAt  time.Time
	stoppingAt, executionEnd  time.Time
	stoppedAt, updatedAt      time.Time
	listedAt                  time.Time // when the list that shows it last changed
	stopCode, stoppedReason   string
	tags                      []tag
	countedAsRunning          bool // counted by countRunning
}

type container struct {
	id       string
	input    containerInput
	status   string
	runtime  string
	exitCode *int
	reason   string
	health   string // the result of its health check
	bindings []networkBinding
	gpus     []string // ids
}

// liveKey groups the live tasks of an instance for counting; one of the two fields is set.
type liveKey struct{ startedBy, family string }

// Task is a snapshot of a task.
type Task struct {
	ARN               string `json:"arn"`
	ClusterARN        string `json:"clusterArn"`
	InstanceARN       string `json:"instanceArn"` // "" on Fargate
	TaskDefinitionARN string `json:"taskDefinitionArn"`
	Family            string `json:"family"`
	StartedBy         string `json:"startedBy"`
	Group             string `json:"group"`
	LaunchType        string `json:"launchType"`
	LastStatus        string `json:"lastStatus"`
	DesiredStatus     string `json:"desiredStatus"`
	Version           int64  `json:"version"`
	StopCode          string `json:"stopCode"`
	StoppedReason     string `json:"stoppedReason"`
	// ExitCode is the exit code of the first container; nil while it runs.
	ExitCode *int `json:"exitCode"`
	// HealthStatus is UNKNOWN without a health check.
	HealthStatus string `json:"healthStatus"`

	CreatedAt time.Time `json:"createdAt"`
	StartedAt time.Time `json:"startedAt,omitzero"` // zero until it is RUNNING
	StoppedAt time.Time `json:"stoppedAt,omitzero"` // zero until it is STOPPED
}

// Live reports whether the task is neither STOPPED nor DELETED; a stopping task is live.
func (t Task) Live() bool { return t.LastStatus != statusStopped && t.LastStatus != "DELETED" }

func (t *task) live() bool { return t.lastStatus != statusStopped }

// starting reports whether the task has not been RUNNING yet.
func (t *task) starting() bool {
	switch t.lastStatus {
	case statusProvisioning, statusPending, statusActivating:
		return true
	}
	return false
}

// Tasks returns the tasks of a cluster, given by name or ARN, in the order of their creation. It includes STOPPED tasks
// until their retention ends, and faults do not affect it. "" selects every cluster.
func (s *Sim) Tasks(cluster string) []Task {
	s.lock()
	defer s.unlock()
	all := []Task{}
	for _, c := range s.selectClusters(cluster) {
		for _, t := range c.tasks {
			all = append(all, t.snapshot())
		}
	}
	return all
}

func (t *task) snapshot() Task {
	snapshot := Task{
		ARN: t.arn, ClusterARN: t.cluster.arn, TaskDefinitionARN: t.definition.arn, Family: t.definition.family,
		StartedBy: t.startedBy, Group: t.group, LaunchType: t.launchType, LastStatus: t.lastStatus,
		DesiredStatus: t.desiredStatus, Version: t.version,
		StopCode: t.stopCode, StoppedReason: t.stoppedReason, HealthStatus: t.health(), CreatedAt: t.createdAt,
		StartedAt: t.startedAt, StoppedAt: t.stoppedAt,
	}
	if t.instance != nil {
		snapshot.InstanceARN = t.instance.arn
	}
	if code := t.containers[0].exitCode; code != nil {
		snapshot.ExitCode = new(*code)
	}
	return snapshot
}

// StartFargateTask starts a task without a container instance and returns its ARN. It creates an unknown cluster or
// family, and returns "" if ECS would reject one of the names.
func (s *Sim) StartFargateTask(cluster, family string) string {
	s.lock()
	known := s.definition(family) != nil
	s.unlock()
	if !known && s.RegisterTaskDefinition(family, WithNetworkMode("awsvpc")) == "" {
		return ""
	}
	s.lock()
	defer s.unlock()
	c, err := s.ensureActiveCluster(cluster)
	d := s.definition(family)
	if err != nil || d == nil {
		return ""
	}
	return s.start(launch{
		cluster: c, definition: d, startedBy: "ecs-svc/1234567890123456789", group: "service:" + d.family,
	}).arn
}

// KillTask makes a task's containers exit with a code; the task, given by ARN or id, becomes STOPPED with
// EssentialContainerExited. An unknown or STOPPED task is an error.
func (s *Sim) KillTask(arn string, exitCode int) error {
	s.lock()
	defer s.unlock()
	t := s.findTask(arn)
	if t == nil || !t.live() {
		return fmt.Errorf("%w: live task %.300q", errNotFound, arn)
	}
	s.whenConnected(t, func() { s.exit(t, exitCode) })
	return nil
}

// findTask returns a task of any cluster by ARN or id, or nil.
func (s *Sim) findTask(ref string) *task {
	t := s.tasks[lastPart(ref)]
	if t == nil || ref != t.id && ref != t.arn {
		return nil
	}
	return t
}

// taskIn returns a task of a cluster by ARN or id, or nil.
func (s *Sim) taskIn(c *cluster, ref string) *task {
	if t := s.findTask(ref); t != nil && t.cluster == c {
		return t
	}
	return nil
}

// launch holds the validated parameters of a start; instance is nil on Fargate, service for a standalone task.
type launch struct {
	cluster          *cluster
	instance         *instance
	definition       *definition
	service          *service
	provider         *capacityProvider // of the strategy that places it; nil for none
	startedBy, group string
	exec             bool
	overrides        overrides
	required         resources
	tags             []tag
	volumes          []volumeInput
	subnet           string // of an awsvpc task; "" for the simulator's own
}

// start creates a task, reserves its resources and schedules its transitions.
func (s *Sim) start(l launch) *task {
	id := s.newID()
	t := &task{
		seq: s.nextSeq(), id: id, arn: s.arn(arn.Task, l.cluster.name, id), cluster: l.cluster, instance: l.instance,
		definition: l.definition, service: l.service, provider: l.provider,
		launchType: launchFargate, startedBy: l.startedBy, group: cmp.Or(l.group, "family:"+l.definition.family),
		exec:      l.exec,
		overrides: l.overrides.forAllContainers(l.definition), reserved: l.required, lastStatus: statusPending,
		desiredStatus: statusRunning,
		createdAt:     now(), zone: s.cfg.Region + "a", tags: l.tags,
	}
	for _, c := range l.overrides.containers(l.definition) {
		t.containers = append(t.containers, &container{
			id: uuid.NewString(), input: c, status: statusPending, health: healthUnknown,
		})
	}
	if l.definition.input.NetworkMode == "awsvpc" {
		t.lastStatus = statusProvisioning
		t.eni = newNetworkInterface(l.subnet)
	}
	for _, v := range l.volumes {
		t.volumes = append(t.volumes, newVolume(v))
	}
	t.listedAt = t.createdAt
	l.cluster.tasks = append(l.cluster.tasks, t)
	s.tasks[id] = t
	if i := t.instance; i != nil {
		t.launchType, t.zone = launchEC2, i.zone
		if i.external {
			t.launchType = launchExternal
		}
		if i.managed() {
			t.launchType = launchManaged
		}
		t.reserved = i.remaining.acquire(t.reserved)
		gpus := t.reserved.gpus
		for _, c := range t.containers {
			n := c.input.gpuCount()
			if c.input.wantsAllGPUs() {
				n = len(gpus)
			}
			c.gpus, gpus = gpus[:n], gpus[n:]
		}
		i.tasks[t] = true
		i.pending++
		s.countLive(t, +1)
		s.instanceChanged(i)
	}
	s.taskChanged(t)
	s.schedule(s.startStep(t), func() { s.advance(t) })
	return t
}

// removeTask removes a task whose retention has ended.
func (s *Sim) removeTask(t *task) {
	delete(s.tasks, t.id)
	all := t.cluster.tasks
	if at, found := slices.BinarySearchFunc(all, t.seq, func(t *task, seq int64) int {
		return cmp.Compare(t.seq, seq)
	}); found {
		t.cluster.tasks = slices.Delete(all, at, at+1)
	}
}
