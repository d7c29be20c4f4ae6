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

// instance is a container instance.
type instance struct {
	seq              int64
	id, arn          string
	cluster          *cluster
	ec2ID, zone      string
	status           string
	connected        bool
	flapping         bool              // its agent is disconnected by a fault and reconnects by itself
	disconnects      int               // how often its agent disconnected
	external         bool              // of ECS Anywhere
	provider         *capacityProvider // nil for none
	terminating      bool              // it ends when its last task has stopped
	health           string            // "" for OK since the registration
	healthSince      time.Time
	version          int64
	attributes       []attribute
	registered       resources
	remaining        resources
	registeredAt     time.Time
	updatedAt        time.Time
	tags             []tag
	versions         versionInfo
	running, pending int              // live tasks
	liveTasks        map[liveKey]int  // counts by startedBy and by family
	runningByFamily  map[string]int   // by family: RUNNING tasks whose desired status is RUNNING
	tasks            map[*task]bool   // not STOPPED
	waitingForAgent  map[*task]func() // transitions to run when the ECS agent reconnects
	nextPort         int              // the next dynamic host port
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
	Attributes     map[string]string `json:"attributes"` // "" without a value
}

// AddInstances registers n ACTIVE container instances with connected ECS agents and returns their ARNs. Each has 2048
// CPU units and 7680 MiB. It creates an unknown cluster, and returns nil if ECS rejects the cluster name.
func (s *Sim) AddInstances(cluster string, n int) []string {
	return s.addInstances(cluster, n, registration{})
}

func (s *Sim) addInstances(cluster string, n int, r registration) []string {
	s.lock()
	defer s.unlock()
	c, err := s.ensureActiveCluster(cluster)
	if err != nil {
		return nil
	}
	arns := make([]string, 0, max(n, 0))
	for range n {
		arns = append(arns, s.register(c, r).arn)
	}
	return arns
}

// ensureActiveCluster returns a cluster by name or ARN. It creates or reactivates the cluster if necessary.
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

// registration holds the values that an ECS agent registers; zero values take the simulator's defaults.
type registration struct {
	ec2ID      string
	external   bool
	provider   *capacityProvider
	capacity   resources
	attributes []attribute
	versions   versionInfo
	tags       []tag
}

func (s *Sim) register(c *cluster, r registration) *instance {
	id := s.newID()
	i := &instance{
		seq: s.nextSeq(), id: id, arn: s.arn(arn.ContainerInstance, c.name, id), cluster: c, ec2ID: r.ec2ID,
		status: statusActive, provider: r.provider,
		connected:  true,
		registered: r.capacity, registeredAt: now(), tags: r.tags, versions: r.versions,
		liveTasks: map[liveKey]int{}, runningByFamily: map[string]int{}, tasks: map[*task]bool{},
		waitingForAgent: map[*task]func(){},
		nextPort:        32768,
	}
	switch i.external = r.external || isExternal(r.ec2ID); {
	case i.ec2ID != "":
	case i.external:
		i.ec2ID = "mi-0" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
	default:
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
	if i.external {
		i.attributes = slices.DeleteFunc(i.attributes, func(a attribute) bool { return a.Name == "ecs.capability.task-eni" })
		i.attributes = append(i.attributes, attribute{Name: externalCapability})
	}
	for _, a := range r.attributes {
		i.setAttribute(a)
	}
	c.instances = append(c.instances, i)
	s.instances[id] = i
	s.instanceChanged(i)
	return i
}

// newID returns a random id in the form of the ARN format: a uuid in short ARNs, without hyphens in long ones.
func (s *Sim) newID() string {
	id := uuid.NewString()
	if s.cfg.ShortARNs {
		return id
	}
	return strings.ReplaceAll(id, "-", "")
}

// findInstance returns an instance of any cluster by ARN or id, or nil.
func (s *Sim) findInstance(ref string) *instance {
	i := s.instances[lastPart(ref)]
	if i == nil || ref != i.id && ref != i.arn {
		return nil
	}
	return i
}

// lastPart returns the part after the last slash: the id of an ARN or the name in a queue URL.
func lastPart(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// instanceIn returns an instance of a cluster by ARN or id, or nil.
func (s *Sim) instanceIn(c *cluster, ref string) *instance {
	if i := s.findInstance(ref); i != nil && i.cluster == c {
		return i
	}
	return nil
}

// onInstance applies a change to an instance that is not INACTIVE.
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

// RemoveInstance terminates an instance, given by ARN or id: the instance becomes INACTIVE and its tasks STOPPED
// immediately. An unknown or INACTIVE instance is an error.
func (s *Sim) RemoveInstance(arn string) error {
	return s.onInstance(arn, func(i *instance) { s.deregister(i, "Host EC2 (instance "+i.ec2ID+") terminated.") })
}

// DrainInstance makes an instance DRAINING, as UpdateContainerInstancesState does. Its tasks keep running: ECS stops
// only tasks of services.
func (s *Sim) DrainInstance(arn string) error {
	return s.onInstance(arn, func(i *instance) { s.setStatus(i, statusDraining) })
}

// ActivateInstance makes a DRAINING instance ACTIVE again.
func (s *Sim) ActivateInstance(arn string) error {
	return s.onInstance(arn, func(i *instance) { s.setStatus(i, statusActive) })
}

// SetAgentConnected connects or disconnects an instance's ECS agent. While it is disconnected, no task starts there
// and the statuses of its tasks do not change.
func (s *Sim) SetAgentConnected(arn string, connected bool) error {
	return s.onInstance(arn, func(i *instance) { s.setConnected(i, connected) })
}

// Instances returns the instances of a cluster, given by name or ARN, in the order of their registration. It includes
// INACTIVE instances until their retention ends. "" selects every cluster.
func (s *Sim) Instances(cluster string) []Instance {
	s.lock()
	defer s.unlock()
	all := []Instance{}
	for _, c := range s.selectClusters(cluster) {
		for _, i := range c.instances {
			all = append(all, i.snapshot())
		}
	}
	return all
}

func (s *Sim) selectClusters(ref string) []*cluster {
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
		ARN: i.arn, ClusterARN: i.cluster.arn, EC2InstanceID: i.ec2ID, Status: i.status, AgentConnected: i.connected,
		Version: i.version,
		CPU:     i.registered.cpu, Memory: i.registered.memory, RemainingCPU: i.remaining.cpu,
		RemainingMem: i.remaining.memory,
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
	i.connected, i.flapping = connected, false
	if !connected {
		i.disconnects++
	}
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

// deregister makes an instance INACTIVE, stops its tasks, and removes the instance after the retention.
func (s *Sim) deregister(i *instance, reason string) {
	i.status, i.connected = statusInactive, false
	clear(i.waitingForAgent)
	s.instanceChanged(i)
	for _, t := range i.sortedTasks() {
		s.terminate(t, "TerminationNotice", reason)
	}
	s.schedule(s.cfg.StoppedTaskRetention, func() {
		delete(s.instances, i.id)
		i.cluster.instances = slices.DeleteFunc(i.cluster.instances, func(other *instance) bool { return other == i })
	})
}

// instanceChanged increments the version of an instance and emits its event.
func (s *Sim) instanceChanged(i *instance) {
	i.version++
	i.updatedAt = now()
	s.logInstance(i)
	s.scheduleServices(i.cluster)
	s.emit("ECS Container Instance State Change", i.arn, instanceDetail{shapeInstance[iso](i), iso(i.updatedAt)})
}
