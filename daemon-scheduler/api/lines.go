package api

import (
	"slices"

	"github.com/go-openapi/strfmt"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// The lines of the streams that boards write.

// InstanceLine is an instance as it is.
func InstanceLine(p environment.InstanceStatus) []byte {
	return encode(models.InstanceLine{Instance: showPlacement(p)})
}

// InstanceGone is an instance that has left.
func InstanceGone(arn string) []byte { return encode(models.InstanceLine{Deleted: arn}) }

// StateLine tells how much a stream is about, and whether that is current.
func StateLine(n int, current bool) []byte {
	instances := int64(n)
	return encode(models.InstanceLine{Metadata: &models.StreamState{Count: &instances, Current: &current}})
}

// EnvironmentLine is an environment with its newest deployment.
func EnvironmentLine(e environment.Environment, outlook Outlook) []byte {
	counts := countsOf(outlook, e)
	line := models.OverviewLine{Environment: showOverview(showEnvironment(e, counts))}
	if history := e.History(); len(history) > 0 {
		line.Deployment = showDeployment(e, history[0], nil, counts)
		line.Deployment.FailedInstances, line.Deployment.FailedCount = []string{}, nil // the instances' stream tells of those
	}
	return encode(line)
}

// showOverview leaves out what nobody who looks on needs: settings may be long.
func showOverview(e *models.Environment) *models.OverviewEnvironment {
	return &models.OverviewEnvironment{
		Name: e.Name, InstanceGroup: e.InstanceGroup, TaskDefinition: e.TaskDefinition, Health: e.Health, Status: e.Status, Revision: e.Revision,
		Paused: e.Paused, PausedBy: e.PausedBy, DesiredCount: e.DesiredCount, RunningCount: e.RunningCount, PendingCount: e.PendingCount,
		OutdatedCount: e.OutdatedCount, FailedCount: e.FailedCount, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
		DeploymentConfiguration: e.DeploymentConfiguration, ReadinessAttribute: e.ReadinessAttribute,
	}
}

// EnvironmentGone is an environment that is no more.
func EnvironmentGone(name string) []byte { return encode(models.OverviewLine{Deleted: name}) }

// EventLine is a event as it is.
func EventLine(d environment.Event) []byte {
	return encode(models.OverviewLine{Event: showEvent(d)})
}

// ReadinessLine tells what GET /v1/ready does.
func ReadinessLine(replica, leader string, reasons []string) []byte {
	return encode(models.OverviewLine{Readiness: showReadiness(replica, leader, reasons)})
}

func showPlacement(p environment.InstanceStatus) *models.EnvironmentInstance {
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

func showReadiness(replica, leader string, reasons []string) *models.Readiness {
	ready := len(reasons) == 0
	return &models.Readiness{Ready: &ready, Leader: &leader, Reasons: append([]string{}, reasons...), Replica: replica}
}
