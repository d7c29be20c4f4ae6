package ecssim

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sdkMember is a member of a request by its path, with a request that has nothing else.
type sdkMember struct {
	path string
	body any
}

// membersOf returns the members of an input type of the SDK, those of nested structures included.
func membersOf(t reflect.Type, small bool, depth int) (all []sdkMember) {
	for n := range t.NumField() {
		field := t.Field(n)
		if !field.IsExported() {
			continue
		}
		name := field.Name
		if small {
			name = string(unicode.ToLower(rune(name[0]))) + name[1:]
		}
		inner, wrap := field.Type, func(v any) any { return v }
		for done := false; !done; {
			outer := wrap
			switch inner.Kind() {
			case reflect.Pointer:
				inner = inner.Elem()
			case reflect.Slice:
				if done = inner.Elem().Kind() == reflect.Uint8; !done {
					inner, wrap = inner.Elem(), func(v any) any { return outer([]any{v}) }
				}
			case reflect.Map:
				inner, wrap = inner.Elem(), func(v any) any { return outer(map[string]any{"key": v}) }
			default:
				done = true
			}
		}
		if inner.Kind() != reflect.Struct || inner == reflect.TypeFor[time.Time]() {
			all = append(all, sdkMember{name, map[string]any{name: wrap(sample(inner))}})
			continue
		}
		all = append(all, sdkMember{name, map[string]any{name: wrap(map[string]any{})}})
		if depth > 0 {
			for _, m := range membersOf(inner, small, depth-1) {
				all = append(all, sdkMember{name + "." + m.path, map[string]any{name: wrap(m.body)}})
			}
		}
	}
	return all
}

// sample returns a value that JSON decodes into a scalar type.
func sample(t reflect.Type) any {
	switch t.Kind() {
	case reflect.String:
		return "1"
	case reflect.Bool:
		return true
	case reflect.Slice:
		return []byte("1")
	}
	return 1
}

// ignoredReasons collects why members are ignored from an input type of the simulator.
func ignoredReasons(t reflect.Type, add func(field, why string)) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for n := range t.NumField() {
		field := t.Field(n)
		if field.Type == reflect.TypeFor[ignored]() {
			add(t.Name()+"."+field.Name, field.Tag.Get("why"))
			continue
		}
		ignoredReasons(field.Type, add)
	}
}

func TestMembers_AreIgnoredForAReason(t *testing.T) {
	count := 0
	for _, input := range []any{
		startTaskInput{}, runTaskInput{}, registerInput{}, deleteStreamInput{}, putRecordInput{}, putEventsInput{},
		assumeRoleInput{},
	} {
		ignoredReasons(reflect.TypeOf(input), func(field, why string) {
			count++
			assert.NotEmpty(t, why, field)
		})
	}
	assert.Positive(t, count)
}

// maxMemberDepth bounds the nesting of members; deeper ones are of types that the simulator keeps as they are.
const maxMemberDepth = 6

// Every member of the requests in the SDK has its effect, is kept and shown, is ignored for a reason, or is refused.
func TestMembers_AreHandledOrRefused(t *testing.T) {
	s := New(Config{})
	defer s.Close()
	unused := maps.Clone(refusedMembers)
	for _, service := range []struct {
		name    string
		client  any
		actions map[string]actionHandler
	}{
		{serviceECS, &ecs.Client{}, ecsActions}, {serviceSQS, &sqs.Client{}, sqsActions},
		{serviceKinesis, &kinesis.Client{}, kinesisActions}, {serviceCloudWatch, &cloudwatch.Client{}, cloudWatchActions},
		{serviceSTS, &sts.Client{}, stsActions}, {serviceEventBridge, &eventbridge.Client{}, eventBridgeActions},
	} {
		for action, handler := range service.actions {
			method, known := reflect.TypeOf(service.client).MethodByName(action)
			if !assert.True(t, known, action) {
				continue
			}
			refused := map[string]bool{}
			for _, m := range membersOf(method.Type.In(2).Elem(), service.name == serviceECS, maxMemberDepth) {
				path := action + "." + m.path
				if parent := path[:strings.LastIndexByte(path, '.')]; refused[parent] {
					refused[path] = true
					continue
				}
				body, err := json.Marshal(wireNames(service.name, m.body))
				assert.NoError(t, err)
				_, err = handler(s, request{ctx: t.Context(), service: service.name, body: body})
				var e *apiError
				refused[path] = errors.As(err, &e) && strings.HasPrefix(e.message, unsupported)
				assert.NotErrorIs(t, err, errSerialization, "%s: %s", path, body)
				assert.Equal(t, refusedMembers[path] != "", refused[path], "%s is refused", path)
				delete(unused, path)
			}
		}
	}
	assert.Empty(t, slices.Sorted(maps.Keys(unused)), "members that no request has")
}

// wireNames returns a body as the protocol has it: SQS has one member that begins with a small letter, and STS's
// numbers are texts.
func wireNames(service string, body any) any {
	members := body.(map[string]any)
	switch {
	case service == serviceSQS && members["Tags"] != nil:
		return map[string]any{"tags": members["Tags"]}
	case service == serviceSTS && members["DurationSeconds"] != nil:
		return map[string]any{"DurationSeconds": "900"}
	}
	return body
}

// refusedMembers lists the members that the simulator refuses, and why it does not have them.
var refusedMembers = func() map[string]string {
	refused := map[string]string{}
	for reason, members := range map[string]string{
		"services have no load balancers, meshes and registries": "CreateService.loadBalancers UpdateService.loadBalancers " +
			"CreateService.serviceRegistries UpdateService.serviceRegistries CreateService.vpcLatticeConfigurations " +
			"UpdateService.vpcLatticeConfigurations CreateService.serviceConnectConfiguration " +
			"UpdateService.serviceConnectConfiguration CreateService.gatewayConnectors UpdateService.gatewayConnectors " +
			"CreateService.healthCheckGracePeriodSeconds UpdateService.healthCheckGracePeriodSeconds CreateService.role " +
			"CreateCluster.serviceConnectDefaults",
		"services deploy at once, by ECS": "CreateService.deploymentConfiguration UpdateService.deploymentConfiguration " +
			"UpdateService.deploymentController CreateService.monitoring UpdateService.monitoring " +
			"ListServices.resourceManagementType CreateService.clientToken",
		"services have no tasks but a DAEMON service's, on EC2 instances": "CreateService.capacityProviderStrategy " +
			"UpdateService.capacityProviderStrategy CreateService.placementStrategy UpdateService.placementStrategy " +
			"CreateService.platformVersion UpdateService.platformVersion CreateService.availabilityZoneRebalancing " +
			"UpdateService.availabilityZoneRebalancing CreateService.volumeConfigurations UpdateService.volumeConfigurations " +
			"CreateService.enableExecuteCommand UpdateService.enableExecuteCommand",
		"GPUs are not shared": "StartTask.overrides.containerOverrides.resourceRequirements.sharingStrategy " +
			"RunTask.overrides.containerOverrides.resourceRequirements.sharingStrategy",
		"queues are standard ones": "SendMessage.MessageGroupId SendMessage.MessageDeduplicationId " +
			"SendMessageBatch.Entries.MessageGroupId SendMessageBatch.Entries.MessageDeduplicationId " +
			"ReceiveMessage.ReceiveRequestAttemptId",
		"SQS itself does not implement them": "SendMessage.MessageAttributes.StringListValues " +
			"SendMessage.MessageAttributes.BinaryListValues SendMessageBatch.Entries.MessageAttributes.StringListValues " +
			"SendMessageBatch.Entries.MessageAttributes.BinaryListValues",
		"messages have no trace":          "SendMessage.MessageSystemAttributes SendMessageBatch.Entries.MessageSystemAttributes",
		"queues and streams have no tags": "CreateQueue.Tags CreateStream.Tags",
		"streams have neither ids nor rates, and calls take effect": "CreateStream.WarmThroughputMiBps " +
			"CreateStream.MaxRecordSizeInKiB CreateStream.RecordDistributionStrategy SplitShard.StreamId MergeShards.StreamId " +
			"ListShards.StreamId DeleteStream.StreamId DescribeStreamSummary.StreamId PutRecord.StreamId PutRecords.StreamId " +
			"GetShardIterator.StreamId GetRecords.StreamId PutRecord.DryRun PutRecords.DryRun GetShardIterator.DryRun " +
			"GetRecords.DryRun ListShards.ShardFilter ListShards.StreamCreationTimestamp GetShardIterator.Timestamp",
		"alarms have no actions, parents and reasons in JSON": "DescribeAlarms.ActionPrefix " +
			"DescribeAlarms.ChildrenOfAlarmName DescribeAlarms.ParentsOfAlarmName SetAlarmState.StateReasonData",
		"sessions have all rights of their role, and no tags": "AssumeRole.Policy AssumeRole.PolicyArns AssumeRole.Tags " +
			"AssumeRole.TransitiveTagKeys AssumeRole.ProvidedContexts AssumeRole.SourceIdentity AssumeRole.SerialNumber " +
			"AssumeRole.TokenCode AssumeRole.MinimumSessionTokenSize",
		"there are no global endpoints": "PutEvents.EndpointId",
	} {
		for _, member := range strings.Fields(members) {
			refused[member] = reason
		}
	}
	return refused
}()

// ECS keeps every member of a task definition and shows it.
func TestMembers_OfTaskDefinitionsAreShown(t *testing.T) {
	w := newFixture(t, Config{})
	var in ecs.RegisterTaskDefinitionInput
	reflect.ValueOf(&in).Elem().Set(fill(reflect.TypeOf(in), 2*maxMemberDepth))
	in.Tags, in.Volumes = nil, in.Volumes[:1]
	in.ContainerDefinitions[0].EnvironmentFiles[0].Value = aws.String("arn:aws:s3:::bucket/1.env")
	_, err := w.ecs.RegisterTaskDefinition(w.ctx, &in)
	require.NoError(t, err)
	out, err := w.ecs.DescribeTaskDefinition(w.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: in.Family})
	require.NoError(t, err)
	given, shown := reflect.ValueOf(in), reflect.ValueOf(*out.TaskDefinition)
	for n := range given.NumField() {
		if name := given.Type().Field(n).Name; given.Type().Field(n).IsExported() && name != "Tags" {
			assert.Equal(t, given.Field(n).Interface(), shown.FieldByName(name).Interface(), name)
		}
	}
}

// fill returns a value whose members are all set: enums to their first value, texts to 1, lists to one item.
func fill(t reflect.Type, depth int) reflect.Value {
	v := reflect.New(t).Elem()
	switch {
	case depth == 0 && t.Kind() != reflect.String:
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(fill(t.Elem(), depth))
	case t.Kind() == reflect.Slice:
		v = reflect.Append(v, fill(t.Elem(), depth-1))
	case t.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf("key"), fill(t.Elem(), depth-1))
	case t.Kind() == reflect.Struct:
		for n := range t.NumField() {
			if t.Field(n).IsExported() {
				v.Field(n).Set(fill(t.Field(n).Type, depth-1))
			}
		}
	case t.Kind() == reflect.String:
		v.SetString("1")
		if method, ok := t.MethodByName("Values"); ok {
			v.SetString(method.Func.Call([]reflect.Value{v})[0].Index(0).String())
		}
	case t.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(1)
	case v.CanFloat():
		v.SetFloat(1)
	}
	return v
}
