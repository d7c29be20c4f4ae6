package ecssim

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/internal/arn"
)

// taskInput holds the common parameters of StartTask and RunTask.
type taskInput struct {
	clusterInput
	TaskDefinition       string          `json:"taskDefinition"`
	StartedBy            string          `json:"startedBy"`
	Group                string          `json:"group"`
	Overrides            overrides       `json:"overrides"`
	NetworkConfiguration json.RawMessage `json:"networkConfiguration"`
	EnableExecuteCommand bool            `json:"enableExecuteCommand"`
	EnableManagedTags    bool            `json:"enableECSManagedTags"`
	PropagateTags        string          `json:"propagateTags"`
	Tags                 []tag           `json:"tags"`
	VolumeConfigurations []volumeInput   `json:"volumeConfigurations"`
	ReferenceID          ignored         `json:"referenceId" why:"only ECS itself uses it"`
}

// maxStartedBy limits the length of startedBy, in characters.
const maxStartedBy = 36

var startedByForm = regexp.MustCompile(`^[a-zA-Z0-9_/-]*$`)

// launch validates the parameters that do not depend on an instance.
func (s *Sim) launch(c *cluster, in taskInput) (launch, error) {
	if in.TaskDefinition == "" {
		return launch{}, clientError("TaskDefinition can not be blank.")
	}
	d := s.definition(in.TaskDefinition)
	if d == nil {
		return launch{}, clientError("TaskDefinition not found.")
	}
	if d.status != statusActive {
		return launch{}, clientError("TaskDefinition is inactive")
	}
	if len(in.StartedBy) > maxStartedBy || !startedByForm.MatchString(in.StartedBy) {
		return launch{}, invalid(
			"startedBy has at most %d characters: letters, digits, hyphens, slashes and underscores.", maxStartedBy,
		)
	}
	given := len(in.NetworkConfiguration) > 0 && string(in.NetworkConfiguration) != "null"
	wanted := d.input.NetworkMode == "awsvpc"
	if wanted && !given {
		return launch{}, invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	}
	if given && !wanted {
		return launch{}, invalid("Network Configuration is not valid for the given networkMode of this task definition.")
	}
	subnet, err := parseNetwork(in.NetworkConfiguration)
	if err != nil {
		return launch{}, err
	}
	if err := in.Overrides.validate(d); err != nil {
		return launch{}, err
	}
	if err := validateVolumes(d, in.VolumeConfigurations); err != nil {
		return launch{}, err
	}
	tags, err := s.tagsOfTask(c, d, in)
	if err != nil {
		return launch{}, err
	}
	return launch{
		cluster: c, definition: d, startedBy: in.StartedBy, group: in.Group, exec: in.EnableExecuteCommand,
		overrides: in.Overrides,
		required:  in.Overrides.required(d), tags: tags, subnet: subnet,
		volumes: in.VolumeConfigurations,
	}, nil
}

type startTaskInput struct {
	taskInput
	ContainerInstances []string `json:"containerInstances"`
}

func (s *Sim) startTask(c *cluster, in startTaskInput) (any, error) {
	if len(in.ContainerInstances) == 0 {
		return nil, invalid("Container Instances cannot be empty.")
	}
	if len(in.ContainerInstances) > maxInstancesPerCall {
		return nil, invalid("Container Instances cannot have more than %d elements.", maxInstancesPerCall)
	}
	l, err := s.launch(c, in.taskInput)
	if err != nil {
		return nil, err
	}
	started, failures := []taskResponse{}, []failure{}
	for _, ref := range in.ContainerInstances {
		i := s.instanceIn(c, ref)
		if i == nil {
			failures = append(failures, s.missingFailure(arn.ContainerInstance, c, ref))
			s.logRefusal(in.StartedBy, failures[len(failures)-1])
			continue
		}
		if reason := s.startFailureReason(i, l); reason != "" {
			failures = append(failures, failure{ARN: i.arn, Reason: reason})
			s.logRefusal(in.StartedBy, failures[len(failures)-1])
			continue
		}
		l.instance = i
		started = append(started, newTaskResponse(s.start(l), true))
	}
	return map[string]any{"tasks": started, "failures": failures}, nil
}

// startFailureReason returns why a task cannot start on an instance, or "". It counts starts on DRAINING and
// disconnected instances.
func (s *Sim) startFailureReason(i *instance, l launch) string {
	switch {
	case i.status == statusInactive:
		return "INACTIVE"
	case i.status == statusDraining: // ECS's own reason is not documented
		s.counters.onDraining++
		return "INACTIVE"
	case i.managed() && l.provider == nil: // undocumented, too: only a capacity provider strategy places tasks here
		s.counters.onManaged++
		return "ATTRIBUTE"
	case !i.connected:
		s.counters.onDisconnected++
		return "AGENT"
	case slices.ContainsFunc(l.definition.requiredAttributes, func(name string) bool { return !i.hasAttribute(name) }):
		return "ATTRIBUTE"
	}
	if s.draws.hit("start", "", s.faults.StartFailures) {
		return cmp.Or(s.faults.StartFailureReason, "RESOURCE:MEMORY")
	}
	return i.remaining.shortage(l.required)
}

type stopTaskInput struct {
	clusterInput
	Task   string `json:"task"`
	Reason string `json:"reason"`
}

func (s *Sim) stopTask(c *cluster, in stopTaskInput) (any, error) {
	t := s.taskIn(c, in.Task)
	if t == nil {
		return nil, invalid("The referenced task was not found.")
	}
	s.stop(t, "UserInitiated", cmp.Or(in.Reason, "Task stopped by user"))
	return map[string]any{"task": newTaskResponse(t, true)}, nil
}

type listTasksInput struct {
	clusterInput
	pageInput
	ContainerInstance string `json:"containerInstance"`
	Family            string `json:"family"`
	StartedBy         string `json:"startedBy"`
	ServiceName       string `json:"serviceName"`
	DaemonName        string `json:"daemonName"`
	DesiredStatus     string `json:"desiredStatus"`
	LaunchType        string `json:"launchType"`
}

func (s *Sim) listTasks(c *cluster, in listTasksInput) (any, error) {
	if in.StartedBy != "" &&
		(in.ContainerInstance != "" || in.Family != "" || in.ServiceName != "" || in.DaemonName != "" ||
			in.DesiredStatus != "") {
		return nil, invalid("startedBy must be the only filter beside the cluster and the launch type.")
	}
	desired := strings.ToUpper(cmp.Or(in.DesiredStatus, statusRunning)) // ECS ignores the case
	if !slices.Contains([]string{statusRunning, statusPending, statusStopped}, desired) {
		return nil, invalid("Invalid desiredStatus: %.100q", in.DesiredStatus)
	}
	var of *service
	if in.ServiceName != "" {
		if of = s.serviceIn(c, in.ServiceName); of == nil {
			return nil, errServiceNotFound
		}
	}
	var on *instance
	if in.ContainerInstance != "" {
		if on = s.instanceIn(c, in.ContainerInstance); on == nil {
			return nil, invalid("Container instance %.300s not found.", in.ContainerInstance)
		}
	}
	return listPage("taskArns", in.pageInput, c.tasks, func(t *task) int64 { return t.seq }, func(t *task) (string, bool) {
		return t.arn, !s.notYetVisible(t.createdAt) && desired == s.listedDesiredStatus(t) &&
			(on == nil || on == t.instance) && (of == nil || of == t.service) &&
			(in.DaemonName == "" || t.group == daemonGroup+in.DaemonName) &&
			(in.Family == "" || in.Family == t.definition.family) && (in.StartedBy == "" || in.StartedBy == t.startedBy) &&
			(in.LaunchType == "" || in.LaunchType == t.launchType)
	})
}

// notYetVisible reports whether eventually consistent reads still miss a change made at that time.
func (s *Sim) notYetVisible(at time.Time) bool {
	lag := time.Duration(s.faults.ConsistencyLag)
	return lag > 0 && time.Since(at) < lag
}

// listedDesiredStatus returns the desired status that ListTasks uses for its filter.
func (s *Sim) listedDesiredStatus(t *task) string {
	if t.desiredStatus == statusStopped && s.notYetVisible(t.listedAt) {
		return statusRunning
	}
	return t.desiredStatus
}

type describeTasksInput struct {
	clusterInput
	Tasks   []string `json:"tasks"`
	Include []string `json:"include"`
}

func (s *Sim) describeTasks(c *cluster, in describeTasksInput) (any, error) {
	if len(in.Tasks) == 0 {
		return nil, invalid("Tasks cannot be empty.")
	}
	if len(in.Tasks) > maxDescribe {
		return nil, invalid("Tasks cannot have more than %d elements.", maxDescribe)
	}
	found, failures := []taskResponse{}, []failure{}
	for _, ref := range in.Tasks {
		if t := s.taskIn(c, ref); t == nil || s.notYetVisible(t.createdAt) {
			failures = append(failures, s.missingFailure(arn.Task, c, ref))
		} else {
			found = append(
				found,
				newTaskResponse(
					t, includes(in.Include, "TAGS"),
				),
			)
		}
	}
	return map[string]any{"tasks": found, "failures": failures}, nil
}
