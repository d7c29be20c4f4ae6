package ecssim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/query"
	"github.com/blox/blox/internal/arn"
)

const (
	strategyDaemon  = "DAEMON"
	strategyReplica = "REPLICA"
)

// service is an ECS service. The simulator schedules the tasks of DAEMON services and starts none of others.
type service struct {
	seq                   int64
	name, arn             string
	cluster               *cluster
	status                string // ACTIVE, DRAINING (deleted, its tasks stop) or INACTIVE
	strategy, controller  string
	definition            *definition
	network               []byte // its network configuration; nil for none
	constraints           []placementConstraint
	eligible              []query.Query // of the constraints of type memberOf
	deployment            string        // ecs-svc/<19 digits>, which is the startedBy of its tasks
	desired               int           // of a REPLICA service
	createdAt, deployedAt time.Time
	tags                  []tag
	managedTags           bool
	launchType            string
	propagateTags         string              // of its tasks: TASK_DEFINITION, SERVICE or NONE
	daemon                bool                // a Managed Daemon
	providers             []*capacityProvider // of a Managed Daemon
}

// daemonGroup begins the group of a task of a Managed Daemon.
const daemonGroup = "daemon:"

type placementConstraint struct {
	Type       string `json:"type"`
	Expression string `json:"expression,omitempty"`
}

func newServiceDeployment() string {
	return fmt.Sprintf("ecs-svc/%019d", rand.Int64N(8_000_000_000_000_000_000)+1_000_000_000_000_000_000)
}

// deploy begins a deployment of the service: tasks of the former one are replaced.
func (v *service) deploy(d *definition) {
	v.definition, v.deployment, v.deployedAt = d, newServiceDeployment(), now()
}

// constrain replaces the placement constraints. As in ECS, that begins no deployment.
func (v *service) constrain(all []placementConstraint) error {
	eligible, err := parseConstraints(all)
	if err != nil {
		return err
	}
	v.constraints, v.eligible = slices.Clone(all), eligible
	return nil
}

// allows reports whether the instance is ACTIVE and meets the placement constraints and the task definition's needs.
func (v *service) allows(i *instance) bool {
	lacks := func(name string) bool { return !i.hasAttribute(name) }
	if v.status != statusActive || i.status != statusActive ||
		slices.ContainsFunc(v.definition.requiredAttributes, lacks) {
		return false
	}
	if v.daemon { // on all instances of its providers, or of all Managed Instances
		return i.managed() && (len(v.providers) == 0 || slices.Contains(v.providers, i.provider))
	}
	return !i.managed() && i.meets(v.eligible)
}

// serviceIn returns a service of a cluster by name or ARN, or nil. Of several with one name it returns the latest.
func (s *Sim) serviceIn(c *cluster, ref string) *service {
	for _, v := range slices.Backward(c.services) {
		if v.name == ref || v.arn == ref {
			return v
		}
	}
	return nil
}

// CreateDaemonService creates a DAEMON service and returns its ARN; "" if ECS would reject it.
func (s *Sim) CreateDaemonService(cluster, name, definition string, constraints ...string) string {
	s.lock()
	defer s.unlock()
	in := createServiceInput{ServiceName: name, SchedulingStrategy: strategyDaemon}
	in.TaskDefinition = definition
	for _, expression := range constraints {
		in.PlacementConstraints = append(in.PlacementConstraints, placementConstraint{"memberOf", expression})
	}
	c, err := s.cluster(cluster)
	if err != nil {
		return ""
	}
	if _, err := s.createService(c, in); err != nil {
		return ""
	}
	return s.serviceIn(c, name).arn
}

// scheduleServices has the service scheduler check a cluster after Config.ServiceDelay.
func (s *Sim) scheduleServices(c *cluster) {
	if c.scheduled || len(c.services)+len(c.daemons) == 0 {
		return
	}
	c.scheduled = true
	s.schedule(s.cfg.ServiceDelay, func() {
		c.scheduled = false
		for _, v := range slices.Concat(c.services, c.daemons) {
			if v.strategy == strategyDaemon && v.status != statusInactive {
				s.scheduleDaemons(v)
			}
		}
	})
}

// scheduleDaemons starts and stops the tasks of a DAEMON service: one task on each instance that it allows. On other
// instances its tasks are stopped, on a DRAINING one last of all: after every task that is no daemon of ECS. Source:
// "Amazon ECS service deployment controllers and strategies" in the Amazon ECS Developer Guide.
func (s *Sim) scheduleDaemons(v *service) {
	live := 0
	for _, i := range v.cluster.instances {
		allowed, present := v.allows(i), false
		for _, t := range i.sortedTasks() {
			if t.service != v {
				continue
			}
			present = true
			live++
			switch {
			case allowed && t.startedBy == v.deployment:
			case i.status == statusDraining && t.lastStatus == statusRunning && i.hasWorkload():
			default:
				s.stop(t, "ServiceSchedulerInitiated", "Scaling activity initiated by (deployment "+v.deployment+")")
			}
		}
		if allowed && !present && i.connected {
			s.startDaemon(v, i)
		}
	}
	if v.status == statusDraining && live == 0 {
		v.status = statusInactive
	}
}

// hasWorkload reports whether the instance has a task that is no daemon of ECS.
func (i *instance) hasWorkload() bool {
	for t := range i.tasks {
		if t.service == nil || t.service.strategy != strategyDaemon {
			return true
		}
	}
	return false
}

func (s *Sim) startDaemon(v *service, i *instance) {
	in := taskInput{TaskDefinition: v.definition.arn, StartedBy: v.deployment, Group: "service:" + v.name}
	if v.daemon {
		in.Group = daemonGroup + v.name
	}
	in.NetworkConfiguration = v.network
	l, err := s.launch(v.cluster, in)
	if err != nil || i.remaining.shortage(l.required) != "" {
		return // the scheduler tries again after the next change of the cluster
	}
	l.instance, l.service, l.tags = i, v, v.tagsOfTask()
	if v.daemon {
		l.provider = i.provider
	}
	s.start(l)
}

// tagsOfTask returns the tags of a new task of the service.
func (v *service) tagsOfTask() (tags []tag) {
	switch v.propagateTags {
	case "TASK_DEFINITION":
		tags = slices.Clone(v.definition.tags)
	case "SERVICE":
		tags = slices.Clone(v.tags)
	}
	if v.managedTags {
		tags = addTags(tags, []tag{
			{managedTagPrefix + "clusterName", v.cluster.name}, {managedTagPrefix + "serviceName", v.name},
		})
	}
	return tags
}

// serviceARN returns the ARN of a service.
func (s *Sim) serviceARN(c *cluster, name string) string { return s.arn(arn.Service, c.name, name) }
