package api

import (
	"slices"

	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/status"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/version"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// Encoder encodes the lines of the streams of instances and of the overview. It implements status.Encoder.
type Encoder struct{}

// Instance implements status.Encoder.
func (Encoder) Instance(s environment.InstanceStatus, group string) []byte {
	return httpserver.EncodeJSON(models.InstanceLine{Instance: showInstance(s, group)})
}

// Counts implements status.Encoder.
func (Encoder) Counts(c environment.Counts) []byte {
	number := func(n int) *int64 { return conv.Pointer(int64(n)) }
	return httpserver.EncodeJSON(models.InstanceLine{Counts: &models.InstanceCounts{
		DesiredCount: number(c.Desired), RunningCount: number(c.Running), PendingCount: number(c.Pending),
		UpdatedCount: number(c.Updated()), AvailableCount: number(c.Available), OutdatedCount: number(c.Outdated),
		FailedCount: number(c.Failed), UnreachableCount: number(c.Unreachable), MisscheduledCount: number(c.Misscheduled),
	}})
}

// InstanceDeleted implements status.Encoder.
func (Encoder) InstanceDeleted(arn string) []byte {
	return httpserver.EncodeJSON(models.InstanceLine{Deleted: arn})
}

// State implements status.Encoder.
func (Encoder) State(count int, current bool) []byte {
	state := models.StreamState{Count: conv.Pointer(int64(count)), Current: &current}
	return httpserver.EncodeJSON(models.InstanceLine{Metadata: &state})
}

// Environment implements status.Encoder. It omits failed instances, which the stream of instances has.
func (Encoder) Environment(e environment.Environment, observed status.Observed) []byte {
	line := models.OverviewLine{Environment: showOverview(showEnvironment(e, observed))}
	if history := e.History(); len(history) > 0 {
		line.Deployment = showDeployment(e, history[0], nil, observed.Counts)
		line.Deployment.FailedInstances = []string{}
		line.Deployment.FailedCount = nil
	}
	return httpserver.EncodeJSON(line)
}

// EnvironmentDeleted implements status.Encoder.
func (Encoder) EnvironmentDeleted(name string) []byte {
	return httpserver.EncodeJSON(models.OverviewLine{Deleted: name})
}

// Event implements status.Encoder.
func (Encoder) Event(event environment.Event) []byte {
	return httpserver.EncodeJSON(models.OverviewLine{Event: showEvent(event)})
}

// EncodeEvent encodes an event with its version, as a line of the stream of events.
func EncodeEvent(event environment.Event) []byte {
	shown := showEvent(event)
	shown.Metadata = eventMetadata(events.PositionOf(event))
	return httpserver.EncodeJSON(shown)
}

// Readiness implements status.Encoder.
func (Encoder) Readiness(r status.Readiness) []byte {
	return httpserver.EncodeJSON(models.OverviewLine{Readiness: showReadiness(r)})
}

// showOverview omits the deployment token, and settings that may be long.
func showOverview(e *models.Environment) *models.OverviewEnvironment {
	return &models.OverviewEnvironment{
		Name:                    e.Name,
		EnvironmentType:         e.EnvironmentType,
		InstanceGroup:           e.InstanceGroup,
		TaskDefinition:          e.TaskDefinition,
		Health:                  e.Health,
		Status:                  e.Status,
		Revision:                e.Revision,
		EffectiveRevision:       e.EffectiveRevision,
		EffectiveTaskDefinition: e.EffectiveTaskDefinition,
		Conditions:              e.Conditions,
		Paused:                  e.Paused,
		PausedBy:                e.PausedBy,
		DesiredCount:            e.DesiredCount,
		RunningCount:            e.RunningCount,
		PendingCount:            e.PendingCount,
		UpdatedCount:            e.UpdatedCount,
		AvailableCount:          e.AvailableCount,
		OutdatedCount:           e.OutdatedCount,
		FailedCount:             e.FailedCount,
		UnreachableCount:        e.UnreachableCount,
		MisscheduledCount:       e.MisscheduledCount,
		CreatedAt:               e.CreatedAt,
		UpdatedAt:               e.UpdatedAt,
		DeploymentConfiguration: e.DeploymentConfiguration,
		ReadinessAttribute:      e.ReadinessAttribute,
		UnhealthyPolicy:         e.UnhealthyPolicy,
	}
}

func showInstance(s environment.InstanceStatus, group string) *models.EnvironmentInstance {
	return &models.EnvironmentInstance{
		ContainerInstance: &s.Instance.ARN,
		Ec2InstanceID:     s.Instance.EC2InstanceID,
		Group:             group,
		Status:            &s.Instance.Status,
		AgentConnected:    &s.Instance.AgentConnected,
		State:             conv.Pointer(string(s.Phase)),
		Reason:            s.Reason,
		Task:              s.Task,
		TaskStatus:        s.TaskStatus,
		HealthStatus:      string(s.Health),
		Deployment:        s.Deployment,
		Attempts:          int64(s.Attempts),
		NextAttemptAt:     timePointer(s.NextAttemptAt),
	}
}

// showEvent lists the newest instance first.
func showEvent(e environment.Event) *models.Event {
	m := &models.Event{
		ID:             &e.ID,
		LastSeenAt:     conv.Pointer(strfmt.DateTime(e.LastSeenAt)),
		FirstSeenAt:    timePointer(e.FirstSeenAt),
		Action:         conv.Pointer(string(e.Action)),
		Environment:    &e.Environment,
		Cluster:        e.Cluster,
		Deployment:     e.Deployment,
		TaskDefinition: e.TaskDefinition,
		Reason:         e.Reason,
		Detail:         e.Detail,
		Actor:          e.Actor,
		Count:          conv.Pointer(int64(e.Count)),
		Instances:      []*models.EventInstance{},
	}
	for _, c := range e.Changes {
		m.Changes = append(m.Changes, &models.FieldChange{Field: &c.Field, Before: c.Before, After: c.After})
	}
	for _, i := range slices.Backward(e.Instances) {
		m.Instances = append(m.Instances, &models.EventInstance{
			ContainerInstance: &i.Instance, Task: i.Task, ReplacedTask: i.ReplacedTask,
		})
	}
	return m
}

func showReadiness(r status.Readiness) *models.Readiness {
	return &models.Readiness{
		Ready: conv.Pointer(len(r.Reasons) == 0), Leader: &r.Leader, Reasons: append([]string{}, r.Reasons...),
		Replica: r.Replica, Version: version.String(),
	}
}
