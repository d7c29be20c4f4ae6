package ecssim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blox/blox/internal/arn"
)

const (
	statusActive   = "ACTIVE"
	statusDraining = "DRAINING"
	statusInactive = "INACTIVE"
)

// instance is one container instance.
type instance struct {
	seq              int64
	id, arn          string
	cluster          *cluster
	ec2ID, zone      string
	status           string
	connected        bool
	version          int64
	attributes       []attribute
	registered       resources
	remaining        resources
	registeredAt     time.Time
	updatedAt        time.Time
	tags             []tag
	versions         versionInfo
	running, pending int              // its live tasks
	live             map[live]int     // the same by who started them and of what
	runningByFamily  map[string]int   // by family, those that run and are to go on running
	tasks            map[*task]bool   // those not STOPPED
	waitingForAgent  map[*task]func() // what its tasks do once the agent is connected again
	nextPort         int              // the next dynamic host port
}

// attribute is a name and, for some, a value.
type attribute struct {
	Name       string  `json:"name"`
	Value      *string `json:"value,omitempty"`
	TargetID   string  `json:"targetId,omitempty"`
	TargetType string  `json:"targetType,omitempty"`
}

// Instance is a snapshot of a container instance.
type Instance struct {
	ARN            string            `json:"arn"`
	ClusterARN     string            `json:"clusterArn"`
	EC2InstanceID  string            `json:"ec2InstanceId"`
	Status         string            `json:"status"` // ACTIVE, DRAINING or INACTIVE
	AgentConnected bool              `json:"agentConnected"`
	Version        int64             `json:"version"`
	CPU            int               `json:"cpu"`             // registered, in CPU units
	Memory         int               `json:"memory"`          // registered, in MiB
	RemainingCPU   int               `json:"remainingCpu"`    // in CPU units
	RemainingMem   int               `json:"remainingMemory"` // in MiB
	RunningTasks   int               `json:"runningTasks"`
	PendingTasks   int               `json:"pendingTasks"`
	Attributes     map[string]string `json:"attributes"` // "" for those without a value
}

// AddInstances registers n container instances, ACTIVE and with a connected agent, and returns their ARNs. Each has
// 2048 CPU units and 7680 MiB. An unknown cluster is created; a name that ECS does not allow gives nil.
func (s *Sim) AddInstances(cluster string, n int) []string {
	s.lock()
	defer s.unlock()
	c, err := s.ensureActiveCluster(cluster)
	if err != nil {
		return nil
	}
	arns := make([]string, 0, max(n, 0))
	for range n {
		arns = append(arns, s.register(c, registration{}).arn)
	}
	return arns
}

// ensureActiveCluster is a cluster by name or ARN that is made, or made ACTIVE again, when it has to be.
func (s *Sim) ensureActiveCluster(ref string) (*cluster, error) {
	if c, err := s.cluster(ref); err == nil {
		return c, nil
	}
	if a, err := arn.ParseKind(ref, arn.Cluster); err == nil {
		if _, err := s.anyCluster(ref); err != nil {
			return nil, err
		}
		ref = a.ID
	}
	return s.ensureCluster(ref)
}

// registration is what an agent tells of its instance; zero values take the simulator's.
type registration struct {
	ec2ID      string
	capacity   resources
	attributes []attribute
	versions   versionInfo
	tags       []tag
}

func (s *Sim) register(c *cluster, r registration) *instance {
	id := s.newID()
	i := &instance{
		seq: s.seq(), id: id, arn: s.arn(arn.ContainerInstance, c.name, id), cluster: c, ec2ID: r.ec2ID, status: statusActive, connected: true,
		registered: r.capacity, registeredAt: now(), tags: r.tags, versions: r.versions,
		live: map[live]int{}, runningByFamily: map[string]int{}, tasks: map[*task]bool{}, waitingForAgent: map[*task]func(){}, nextPort: 32768,
	}
	if i.ec2ID == "" {
		i.ec2ID = "i-0" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
	}
	if i.registered.tcp == nil {
		i.registered = resources{cpu: 2048, memory: 7680, tcp: reservedPorts(), udp: map[int]bool{}}
	}
	if i.versions == (versionInfo{}) {
		i.versions = versionInfo{AgentHash: "1f2e3d4", AgentVersion: "1.86.3", DockerVersion: "DockerVersion: 25.0.3"}
	}
	i.remaining = i.registered.clone()
	i.zone = s.cfg.Region + string("abc"[len(c.instances)%3])
	i.attributes = builtinAttributes(i.zone)
	for _, a := range r.attributes {
		i.setAttribute(a)
	}
	c.instances = append(c.instances, i)
	s.instances[id] = i
	s.instanceChanged(i)
	return i
}

// capabilities are what an agent on an ordinary Linux instance registers.
var capabilities = []string{
	"privileged-container", "docker-remote-api.1.17", "docker-remote-api.1.18", "docker-remote-api.1.19", "docker-remote-api.1.44",
	"logging-driver.json-file", "logging-driver.syslog", "logging-driver.awslogs", "ecr-auth", "task-iam-role", "task-iam-role-network-host",
}

func builtinAttributes(zone string) []attribute {
	var all []attribute
	for _, name := range capabilities {
		all = append(all, attribute{Name: "com.amazonaws.ecs.capability." + name})
	}
	all = append(all, attribute{Name: "ecs.capability.task-eni"}, attribute{Name: "ecs.capability.execution-role-awslogs"})
	for _, pair := range [][2]string{
		{"ecs.ami-id", "ami-0a1b2c3d4e5f60718"}, {"ecs.availability-zone", zone}, {"ecs.cpu-architecture", "x86_64"},
		{"ecs.instance-type", "m5.large"}, {"ecs.os-type", "linux"}, {"ecs.os-family", "LINUX"},
	} {
		all = append(all, attribute{Name: pair[0], Value: &pair[1]})
	}
	return all
}

// newID is an id in the form that goes with the ARNs: a uuid in short ones, and without hyphens in long ones.
func (s *Sim) newID() string {
	id := uuid.NewString()
	if s.cfg.ShortARNs {
		return id
	}
	return strings.ReplaceAll(id, "-", "")
}

func (i *instance) setAttribute(a attribute) {
	a.TargetID, a.TargetType = "", ""
	if at := slices.IndexFunc(i.attributes, func(b attribute) bool { return a.Name == b.Name }); at >= 0 {
		i.attributes[at] = a
		return
	}
	i.attributes = append(i.attributes, a)
}

func (i *instance) has(attributeName string) bool {
	return slices.ContainsFunc(i.attributes, func(a attribute) bool { return a.Name == attributeName })
}

// findInstance finds an instance of any cluster by its ARN or id.
func (s *Sim) findInstance(ref string) *instance {
	i := s.instances[lastPart(ref)]
	if i == nil || ref != i.id && ref != i.arn {
		return nil
	}
	return i
}

// lastPart is the id in an ARN, the name in a queue's URL, or all of what has no slash.
func lastPart(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// instanceIn is findInstance for one cluster's instances.
func (s *Sim) instanceIn(c *cluster, ref string) *instance {
	if i := s.findInstance(ref); i != nil && i.cluster == c {
		return i
	}
	return nil
}

// onInstance does change to an instance that is not INACTIVE.
func (s *Sim) onInstance(ref string, change func(*instance)) error {
	s.lock()
	defer s.unlock()
	i := s.findInstance(ref)
	if i == nil || i.status == statusInactive {
		return fmt.Errorf("%w: container instance %.300q", errNotFound, ref)
	}
	change(i)
	return nil
}

// RemoveInstance terminates an instance, given by its ARN or id: it becomes INACTIVE and its tasks STOPPED at once.
// An unknown or INACTIVE instance is an error.
func (s *Sim) RemoveInstance(arn string) error {
	return s.onInstance(arn, func(i *instance) { s.deregister(i, "Host EC2 (instance "+i.ec2ID+") terminated.") })
}

// DrainInstance makes an instance DRAINING, as UpdateContainerInstancesState does. Its tasks run on, because
// tasks of StartTask are nobody's to stop.
func (s *Sim) DrainInstance(arn string) error {
	return s.onInstance(arn, func(i *instance) { s.setStatus(i, statusDraining) })
}

// ActivateInstance makes a DRAINING instance ACTIVE again.
func (s *Sim) ActivateInstance(arn string) error {
	return s.onInstance(arn, func(i *instance) { s.setStatus(i, statusActive) })
}

// SetAgentConnected connects or disconnects an instance's agent. While it is disconnected no task starts there, and
// what becomes of its tasks is only seen once it is connected again.
func (s *Sim) SetAgentConnected(arn string, connected bool) error {
	return s.onInstance(arn, func(i *instance) { s.setConnected(i, connected) })
}

// Instances returns the instances of a cluster, given by name or ARN, in the order of their registration,
// INACTIVE ones that can still be described included. "" means those of every cluster.
func (s *Sim) Instances(cluster string) []Instance {
	s.lock()
	defer s.unlock()
	all := []Instance{}
	for _, c := range s.chosenClusters(cluster) {
		for _, i := range c.instances {
			all = append(all, i.snapshot())
		}
	}
	return all
}

func (s *Sim) chosenClusters(ref string) []*cluster {
	if ref == "" {
		return s.sortedClusters()
	}
	if c, err := s.anyCluster(ref); err == nil && c != nil {
		return []*cluster{c}
	}
	return nil
}

func (i *instance) snapshot() Instance {
	attributes := make(map[string]string, len(i.attributes))
	for _, a := range i.attributes {
		attributes[a.Name] = deref(a.Value)
	}
	return Instance{
		ARN: i.arn, ClusterARN: i.cluster.arn, EC2InstanceID: i.ec2ID, Status: i.status, AgentConnected: i.connected, Version: i.version,
		CPU: i.registered.cpu, Memory: i.registered.memory, RemainingCPU: i.remaining.cpu, RemainingMem: i.remaining.memory,
		RunningTasks: i.running, PendingTasks: i.pending, Attributes: attributes,
	}
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func (s *Sim) setStatus(i *instance, status string) {
	if i.status != status {
		i.status = status
		s.instanceChanged(i)
	}
}

func (s *Sim) setConnected(i *instance, connected bool) {
	if i.connected == connected {
		return
	}
	i.connected = connected
	s.instanceChanged(i)
	if connected {
		waiting := i.waitingForAgent
		i.waitingForAgent = map[*task]func(){}
		for _, t := range i.sortedTasks() {
			if do := waiting[t]; do != nil {
				do()
			}
		}
	}
}

func (i *instance) sortedTasks() []*task {
	all := make([]*task, 0, len(i.tasks))
	for t := range i.tasks {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *task) int { return int(a.seq - b.seq) })
	return all
}

// deregister makes an instance INACTIVE, ends its tasks, and forgets it after the retention.
func (s *Sim) deregister(i *instance, reason string) {
	i.status, i.connected = statusInactive, false
	clear(i.waitingForAgent)
	s.instanceChanged(i)
	for _, t := range i.sortedTasks() {
		s.stopped(t, "TerminationNotice", reason, nil)
	}
	s.schedule(s.cfg.StoppedTaskRetention, func() {
		delete(s.instances, i.id)
		i.cluster.instances = slices.DeleteFunc(i.cluster.instances, func(other *instance) bool { return other == i })
	})
}

// instanceChanged counts and tells a change of an instance.
func (s *Sim) instanceChanged(i *instance) {
	i.version++
	i.updatedAt = now()
	s.emit("ECS Container Instance State Change", i.arn, instanceDetail{shapeInstance[iso](i), iso(i.updatedAt)})
}
