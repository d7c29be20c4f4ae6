package state

import (
	"cmp"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/filter"
	"github.com/blox/blox/internal/testenv"
)

func TestParseStatus_AcceptsEveryStatusInAnyCase(t *testing.T) {
	for _, s := range []string{
		"running", "Stopped", "PENDING", "provisioning", "ACTIVATING", "deactivating", "stopping", "deprovisioning",
		"deleted",
	} {
		status, err := ParseStatus(KindTask, s)
		require.NoError(t, err)
		assert.Equal(t, strings.ToUpper(s), status)
	}
	for _, s := range []string{"active", "INACTIVE", "draining", "registering", "REGISTRATION_FAILED", "deregistering"} {
		_, err := ParseStatus(KindInstance, s)
		require.NoError(t, err)
		_, err = ParseStatus(KindTask, s)
		assert.ErrorIs(t, err, ErrInvalidStatus, "%s is not a task status", s)
	}
	status, err := ParseStatus(KindTask, "")
	require.NoError(t, err)
	assert.Empty(t, status)
	for _, s := range []string{" ", "run", "running,stopped", "ACTIVE"} {
		_, err := ParseStatus(KindTask, s)
		assert.ErrorIs(t, err, ErrInvalidStatus, "%q", s)
	}
}

func TestClusterFilter_MatchesNameOrARN(t *testing.T) {
	for name, tc := range map[string]struct {
		given string
		want  bool
	}{
		"none":            {"", true},
		"name":            {"prod", true},
		"another name":    {"test", false},
		"ARN":             {prod, true},
		"another region":  {"arn:aws:ecs:us-east-1:123456789012:cluster/prod", false},
		"another account": {"arn:aws:ecs:eu-west-1:000000000000:cluster/prod", false},
		"another case":    {"Prod", false},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := ParseClusterFilter(tc.given)
			require.NoError(t, err)
			key := Key{Kind: KindTask, Cluster: "prod", ARN: "arn:aws:ecs:eu-west-1:123456789012:task/1"}
			assert.Equal(t, tc.want, f.Matches(key))
		})
	}
	for _, bad := range []string{
		"a b", "arn:aws:ecs:eu-west-1:123456789012:task/1", "arn:aws:ecs", "a/b", strings.Repeat("x", 256),
	} {
		_, err := ParseClusterFilter(bad)
		assert.ErrorIs(t, err, ErrInvalidCluster, "%.20q", bad)
	}
}

// parse parses a query.
func parse(t testing.TB, kind Kind, raw string) (Filter, error) {
	query, err := url.ParseQuery(raw)
	require.NoError(t, err)
	return ParseFilter(kind, query.Get)
}

func TestFilter_SelectsTasksByValues(t *testing.T) {
	whole := Task{
		ARN: "arn:aws:ecs:eu-west-1:123456789012:task/prod/1", ClusterARN: prod, Group: "service:web",
		StopCode: "SpotInterruption", LaunchType: "FARGATE", CapacityProviderName: "FARGATE_SPOT", StartedBy: "a,b",
		TaskDefinitionARN:    "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3",
		ContainerInstanceARN: "arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/9",
		UpdatedAt:            "2026-03-04T10:15:30.5Z", LastStatus: "STOPPED",
	}
	task := whole.Summary("")
	for raw, want := range map[string]bool{
		"":                                      true,
		"account=123456789012":                  true,
		"account=210987654321":                  false,
		"account=210987654321,123456789012":     true,
		"account=!123456789012":                 false,
		"region=eu-west-1":                      true,
		"region=eu-west":                        false,
		"region=!us-east-1,eu-north-1":          true,
		"region=eu-west-1&account=210987654321": false,
		"group=service:web":                     true,
		"group=service:api":                     false,
		"group=service:api,service:web":         true,
		"group=!service:web":                    false,
		"group=!service:api,service:db":         true,
		"stopCode=spotinterruption":             true,
		"stopCode=UserInitiated":                false,
		"stopCode=!UserInitiated":               true,
		"capacityProviderName=FARGATE_SPOT":     true,
		"capacityProviderName=!FARGATE_SPOT":    false,
		"launchType=ec2,fargate":                true,
		"launchType=!ec2,fargate":               false,
		"family=api,web":                        true,
		"family=!web":                           false,
		"taskDefinition=web:3,web:4":            true,
		"containerInstance=!9":                  false,
		"containerInstance=8,9":                 true,
		"ec2InstanceId=i-1":                     true,
		"ec2InstanceId=!i-1":                    false,
		"since=2026-03-04T10:15:30.5Z":          true,
		"since=2026-03-04T12:15:30.500%2B02:00": true,
		"since=2026-03-04T10:15:30.501Z":        false,
		"group=service:web&launchType=EC2":      false,
		"startedBy=a,b":                         true, // as in v0.3: the whole value
		"startedBy=a":                           false,
		"startedBy=!a":                          false,
		"status=stopped":                        true,
	} {
		f, err := parse(t, KindTask, raw)
		require.NoError(t, err, raw)
		f = f.OnInstances(map[string]bool{task.ContainerInstanceARN: true})
		assert.Equal(t, want, f.MatchesTask(&task), raw)
	}
	fargate := task
	fargate.ContainerInstanceARN = ""
	f, err := parse(t, KindTask, "ec2InstanceId=i-1")
	require.NoError(t, err)
	assert.False(t, f.MatchesTask(&fargate), "without OnInstances")
	f, err = parse(t, KindTask, "ec2InstanceId=!i-1")
	require.NoError(t, err)
	assert.True(t, f.MatchesTask(&fargate), "a task without instance is on no such instance")
	f, err = parse(t, KindTask, "since=2026-03-04T10:15:30Z")
	require.NoError(t, err)
	assert.False(t, f.MatchesTask(&TaskSummary{}), "a record of v0.3 without time")
}

func TestFilter_SelectsInstancesByValues(t *testing.T) {
	instance, err := DecodeInstance(testenv.Event(t, "instance-active.json"))
	require.NoError(t, err)
	for raw, want := range map[string]bool{
		"attribute=stack:test,stack:prod":             true,
		"attribute=!stack:test":                       true,
		"attribute=!stack":                            false,
		"ec2InstanceId=i-0," + instance.EC2InstanceID: true,
		"ec2InstanceId=!" + instance.EC2InstanceID:    false,
		"capacityProviderName=x":                      false,
		"capacityProviderName=!x":                     true,
		"since=2026-03-04T00:00:00Z":                  true,
		"since=2099-03-04T00:00:00Z":                  false,
	} {
		f, err := parse(t, KindInstance, raw)
		require.NoError(t, err, raw)
		assert.Equal(t, want, f.MatchesInstance(&instance), raw)
	}
}

func TestParseFilter_NamesParameterAndAcceptedValues(t *testing.T) {
	const several = "separated by commas, after one ! to exclude them"
	for raw, want := range map[string]string{
		"stopCode=x": `Invalid stopCode "x": must be TaskFailedToStart, EssentialContainerExited, UserInitiated, ` +
			`ServiceSchedulerInitiated, SpotInterruption, TerminationNotice or InfrastructureHealth; several ` + several,
		"launchType=ec2,!fargate": `Invalid launchType "ec2,!fargate": must be values ` + several,
		"group=a,,b":              `Invalid group "a,,b": must be values ` + several,
		"group=!":                 `Invalid group "!": must be values ` + several,
		"group=!!a":               `Invalid group "!!a": must be values ` + several,
		"since=yesterday":         `Invalid since "yesterday": must be a time in RFC 3339, such as 2026-03-04T10:15:30Z`,
		"agentConnected=yes":      `Invalid agentConnected "yes": must be true or false`,
		"attribute=a,:x":          `Invalid attribute "a,:x": must be name:value or name`,
		"account=prod":            `Invalid account "prod": must be account IDs of 12 digits`,
		"region=!paris":           `Invalid region "!paris": must be regions such as eu-west-1`,
	} {
		_, err := parse(t, KindTask, raw)
		require.ErrorIs(t, err, ErrInvalidParameter, raw)
		assert.EqualError(t, err, want)
	}
	_, err := parse(t, KindTask, "group="+strings.Repeat("x,", filter.MaxValues)+"x")
	assert.ErrorContains(t, err, "must be at most 100 values")
	_, err = parse(t, KindTask, "group="+strings.Repeat("x,", filter.MaxValues-1)+"x")
	assert.NoError(t, err)
}

// queryOf returns the query that a filter of a kind was parsed from, in its canonical form.
func queryOf(f Filter) map[string]string {
	query := map[string]string{
		"status": f.Status, "cluster": cmp.Or(f.Cluster.ARN, f.Cluster.Name), "startedBy": f.StartedBy,
		"agentConnected": f.AgentConnected, "search": string(f.Search),
	}
	if !f.Since.IsZero() {
		query["since"] = f.Since.Format(time.RFC3339Nano)
	}
	for name, values := range map[string]filter.Values{
		"desiredStatus": f.DesiredStatus, "launchType": f.LaunchType, "stopCode": f.StopCode, "group": f.Group,
		"family": f.Family, "taskDefinition": f.TaskDefinition, "containerInstance": f.ContainerInstance,
		"capacityProviderName": f.CapacityProvider, "ec2InstanceId": f.EC2InstanceID, "attribute": f.Attribute,
	} {
		query[name] = strings.Join(values.List, ",")
		if values.Excluded {
			query[name] = "!" + query[name]
		}
	}
	return query
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{
		"", "status=running&cluster=prod&startedBy=x", "cluster=" + prod,
		"desiredStatus=Stopped&launchType=fargate&family=agent", "taskDefinition=agent:12",
		"attribute=stack:prod&agentConnected=true&ec2InstanceId=i-1", "attribute=:", "agentConnected=yes", "status=\xff",
		"status=ſtopped", "containerInstance=/", "group=!a,b&stopCode=!userInitiated", "group=,", "stopCode=!!",
		"search=Web", "search=arn:%FF",
		"since=2026-03-04T10:15:30%2B01:00", "since=0000-01-01T00:00:00Z", "since=-",
	} {
		f.Add(seed)
	}
	task, err := DecodeTask(testenv.Event(f, "task-ec2-running.json"))
	require.NoError(f, err)
	summary := task.Summary("")
	instance, err := DecodeInstance(testenv.Event(f, "instance-active.json"))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		for _, kind := range []Kind{KindTask, KindInstance} {
			filter, err := ParseFilter(kind, query.Get)
			if err != nil {
				continue
			}
			_ = filter.MatchesTask(&summary)
			_ = filter.MatchesInstance(&instance)
			parsed := queryOf(filter)
			again, err := ParseFilter(kind, func(name string) string { return parsed[name] })
			if err != nil || !reflect.DeepEqual(again, filter) {
				t.Errorf("%q: %+v, read again %+v, %v", raw, filter, again, err)
			}
		}
	})
}
