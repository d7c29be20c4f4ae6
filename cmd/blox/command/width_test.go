package command

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cmd/blox/show"
	state "github.com/blox/blox/swagger/cluster-state-service/v1/models"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// The tables that an operator reads most fit a terminal of 80 columns.
func TestLists_FitATerminalOf80Columns(t *testing.T) {
	const (
		cluster    = "arn:aws:ecs:us-east-1:123456789012:cluster/production"
		instance   = "arn:aws:ecs:us-east-1:123456789012:container-instance/production/4ce35cefbc714abbbf5f1bd427168e35"
		task       = "arn:aws:ecs:us-east-1:123456789012:task/production/5bb4f837205844218c118cdcf855655a"
		definition = "arn:aws:ecs:us-east-1:123456789012:task-definition/log-collector:12"
		deployment = "a0c3721b-5807-4d95-bb81-9230b1e8d366"
	)
	style := show.Style{Output: show.Output{Format: show.Table}, Width: 80, Now: time.Now()}
	created := conv.Pointer(strfmt.DateTime(style.Now.Add(-52 * time.Hour)))
	text := strfmt.DateTime(*created).String()
	environments := environmentRows(style, []*models.Environment{{
		Name: conv.Pointer("log-agent"), Status: "deploying", Health: conv.Pointer(models.HealthStatusUnhealthy),
		InstanceGroup: &models.InstanceGroup{Cluster: cluster}, TaskDefinition: definition, CreatedAt: created,
		DesiredCount: conv.Pointer[int64](120), AvailableCount: conv.Pointer[int64](118),
	}})
	deployments := deploymentRows(style, []*models.Deployment{{
		ID: conv.Pointer(deployment), RolloutState: "IN_PROGRESS", TaskDefinition: conv.Pointer(definition),
		DesiredCount: conv.Pointer[int64](120), RunningCount: conv.Pointer[int64](118), CreatedAt: created,
		RollbackOf: "eb3e84be-4e9f-44eb-b935-643f69f5b68d",
	}})
	tasks := taskRows()
	addTask(tasks, style, &state.Task{Entity: &state.TaskDetail{
		TaskARN: conv.Pointer(task), ClusterARN: conv.Pointer(cluster), TaskDefinitionARN: conv.Pointer(definition),
		LastStatus: conv.Pointer("RUNNING"), DesiredStatus: conv.Pointer("RUNNING"), StartedBy: deployment,
		ContainerInstanceARN: conv.Pointer(instance), CreatedAt: &text,
	}})
	instances := instanceRows()
	addInstance(instances, style, &state.ContainerInstance{Entity: &state.ContainerInstanceDetail{
		ContainerInstanceARN: conv.Pointer(instance), ClusterARN: conv.Pointer(cluster), Status: conv.Pointer("DRAINING"),
		EC2InstanceID: "i-01a9e6050897546d6", RegisteredAt: text, AgentConnected: conv.Pointer(false),
	}})
	for name, rows := range map[string]*show.Rows{
		"environments": environments, "deployments": deployments, "tasks": tasks, "instances": instances,
	} {
		var out bytes.Buffer
		require.NoError(t, rows.Write(&out, style))
		for line := range strings.Lines(out.String()) {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, "%s: %s", name, line)
		}
	}
}
