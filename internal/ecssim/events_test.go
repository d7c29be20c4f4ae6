package ecssim

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fields adds the paths of all fields of a JSON value to into, each with the kind of its value.
func fields(value any, path string, into map[string]string) {
	switch value := value.(type) {
	case map[string]any:
		for name, v := range value {
			fields(v, path+"."+name, into)
		}
	case []any:
		into[path] = "list"
		for _, v := range value {
			fields(v, path+"[]", into)
		}
	case string:
		into[path] = "string"
	case float64:
		into[path] = "number"
	case bool:
		into[path] = "bool"
	default:
		into[path] = "null"
	}
}

func definitionFieldsOf(t *testing.T, body []byte) map[string]string {
	var value any
	require.NoError(t, json.Unmarshal(body, &value))
	all := map[string]string{}
	fields(value, "", all)
	return all
}

// An event has the fields of AWS's samples, with values of the same kinds, plus only fields that a sample omits by
// chance.
func TestEvents_HaveTheFieldsOfTheSamples(t *testing.T) {
	w := newFixture(t, Config{Region: "eu-west-1"})
	w.RegisterTaskDefinition("agent", WithHostPort(8125, "udp"))
	instance := w.AddInstances("prod", 1)[0]
	_, err := w.ecs.PutAttributes(w.ctx, &ecs.PutAttributesInput{
		Cluster:    aws.String("prod"),
		Attributes: []types.Attribute{{Name: aws.String("stack"), Value: aws.String("prod"), TargetId: &instance}},
	})
	require.NoError(t, err)
	started, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		Cluster: aws.String("prod"), TaskDefinition: aws.String("agent"), ContainerInstances: []string{instance},
		StartedBy: aws.String("d1"),
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{
			Name: aws.String("agent"), Environment: []types.KeyValuePair{{Name: aws.String("TIER"), Value: aws.String("prod")}},
		}}},
	})
	require.NoError(t, err)
	require.NoError(t, w.KillTask(*started.Tasks[0].TaskArn, 0))
	w.StartFargateTask("prod", "web")

	last := map[string]event{} // by kind of event
	for _, e := range w.events() {
		switch {
		case e.Detail["launchType"] != nil:
			last[e.Detail["launchType"].(string)+" "+e.Detail["lastStatus"].(string)] = e
		case e.Detail["remainingResources"] != nil:
			last["instance"] = e
		}
	}
	// Only some tasks have these fields of the samples; the simulator's task has none of them.
	lacking := map[string][]string{"testdata/task-fargate-running.json": {".detail.capacityProviderName"}}
	for sample, happened := range map[string]string{
		"testdata/instance-active.json": "instance", "testdata/task-ec2-running.json": "EC2 RUNNING",
		"testdata/task-ec2-stopped.json": "EC2 STOPPED", "testdata/task-fargate-running.json": "FARGATE RUNNING",
	} {
		body, err := os.ReadFile(sample)
		require.NoError(t, err)
		want := definitionFieldsOf(t, body)
		maps.DeleteFunc(want, func(path, _ string) bool { return slices.Contains(lacking[sample], path) })
		got := definitionFieldsOf(t, []byte(last[happened].raw))
		for path, kind := range want {
			assert.Equal(t, kind, got[path], "%s: %s", sample, path)
		}
	}
	fargate := last["FARGATE RUNNING"]
	assert.NotContains(t, fargate.Detail, "containerInstanceArn")
	assert.Equal(t, fargate.Resources, []string{fargate.Detail["taskArn"].(string)})
	assert.Regexp(t, `"updatedAt":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z"`, fargate.raw)
	assert.Regexp(t, `"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`, fargate.raw)
}

// An event and Describe show the same fields at the same version.
func TestEvents_AgreeWithDescribe(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	instance := w.AddInstances("default", 1)[0]
	task := w.start("agent", "d1", instance)[0]
	events := w.events()
	tasks, err := w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Tasks: []string{task}})
	require.NoError(t, err)
	instances, err := w.ecs.DescribeContainerInstances(w.ctx, &ecs.DescribeContainerInstancesInput{
		ContainerInstances: []string{instance},
	})
	require.NoError(t, err)
	highest := map[string]float64{}
	for _, e := range events {
		highest[e.Resources[0]] = max(highest[e.Resources[0]], e.Detail["version"].(float64))
	}
	assert.EqualValues(t, tasks.Tasks[0].Version, highest[task])
	assert.EqualValues(t, instances.ContainerInstances[0].Version, highest[instance])
	assert.EqualValues(t, 2, highest[instance], "registering and starting a task change the version")
}
