package api

import (
	"slices"

	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/status"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// Encoder encodes the lines of the streams of instances and of the overview. It implements status.Encoder.
type Encoder struct{}

// Instance implements status.Encoder.
func (Encoder) Instance(s environment.InstanceStatus) []byte {
	return encode(models.InstanceLine{Instance: showInstance(s)})
}

// InstanceDeleted implements status.Encoder.
func (Encoder) InstanceDeleted(arn string) []byte { return encode(models.InstanceLine{Deleted: arn}) }

// State implements status.Encoder.
func (Encoder) State(count int, current bool) []byte {
	state := models.StreamState{Count: conv.Pointer(int64(count)), Current: &current}
	return encode(models.InstanceLine{Metadata: &state})
}

// Environment implements status.Encoder. It omits failed instances, which the stream of instances has.
func (Encoder) Environment(e environment.Environment, counts *status.Counts) []byte {
	line := models.OverviewLine{Environment: showOverview(showEnvironment(e, counts))}
	if history := e.History(); len(history) > 0 {
		line.Deployment = showDeployment(e, history[0], nil, counts)
		line.Deployment.FailedInstances = []string{}
		line.Deployment.FailedCount = nil
	}
	return encode(line)
}

// EnvironmentDeleted implements status.Encoder.
func (Encoder) EnvironmentDeleted(name string) []byte {
	return encode(models.OverviewLine{Deleted: name})
}

// Event implements status.Encoder.
func (Encoder) Event(event environment.Event) []byte {
	return encode(models.OverviewLine{Event: showEvent(event)})
}

// Readiness implements status.Encoder.
func (Encoder) Readiness(r status.Readiness) []byte {
	return encode(models.OverviewLine{Readiness: showReadiness(r)})
}

// showOverview omits the deployment token, and settings that may be long.
func showOverview(e *models.Environment) *models.OverviewEnvironment {
	return &models.OverviewEnvironment{
		Name: e.Name, InstanceGroup: e.InstanceGroup, TaskDefinition: e.TaskDefinition, Health: e.Health, Status: e.Status, Revision: e.Revision,
		Paused: e.Paused, PausedBy: e.PausedBy, DesiredCount: e.DesiredCount, RunningCount: e.RunningCount, PendingCount: e.PendingCount,
		OutdatedCount: e.OutdatedCount, FailedCount: e.FailedCount, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
		DeploymentConfiguration: e.DeploymentConfiguration, ReadinessAttribute: e.ReadinessAttribute,
	}
}

func showInstance(p environment.InstanceStatus) *models.EnvironmentInstance {
	state := string(p.Phase)
	return &models.EnvironmentInstance{
		ContainerInstance: &p.Instance.ARN, Ec2InstanceID: p.Instance.EC2InstanceID, Status: &p.Instance.Status,
		AgentConnected: &p.Instance.AgentConnected, State: &state, Reason: p.Reason, Task: p.Task, TaskStatus: p.TaskStatus,
		Deployment: p.Deployment, Attempts: int64(p.Attempts), NextAttemptAt: when(p.NextAttemptAt),
	}
}

func showEvent(d environment.Event) *models.Event {
	action, at, n := string(d.Action), strfmt.DateTime(d.LastSeenAt), int64(d.Count)
	m := &models.Event{
		ID: &d.ID, LastSeenAt: &at, FirstSeenAt: when(d.FirstSeenAt), Action: &action, Environment: &d.Environment, Deployment: d.Deployment,
		TaskDefinition: d.TaskDefinition, Reason: d.Reason, Detail: d.Detail, Count: &n, Instances: []*models.EventInstance{},
	}
	for _, on := range slices.Backward(d.Instances) {
		m.Instances = append(m.Instances, &models.EventInstance{ContainerInstance: &on.Instance, Task: on.Task})
	}
	return m
}

func showReadiness(r status.Readiness) *models.Readiness {
	return &models.Readiness{
		Ready: conv.Pointer(len(r.Reasons) == 0), Leader: &r.Leader, Reasons: append([]string{}, r.Reasons...),
		Replica: r.Replica,
	}
}
