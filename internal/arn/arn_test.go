package arn

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse_AcceptsBothForms(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want ARN
	}{
		"short task": {
			"arn:aws:ecs:us-east-1:123456789012:task/b99d40b3-5176-4f71-9a52-9dbd6f1cebef",
			ARN{"aws", "us-east-1", "123456789012", Task, "", "b99d40b3-5176-4f71-9a52-9dbd6f1cebef"},
		},
		"long task": {
			"arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900aabbccddeeff",
			ARN{"aws", "eu-west-1", "123456789012", Task, "prod", "1a2b3c4d5e6f47889900aabbccddeeff"},
		},
		"long instance in GovCloud": {
			"arn:aws-us-gov:ecs:us-gov-west-1:123456789012:container-instance/edge/77aa66bb55cc44dd33ee22ff11001122",
			ARN{"aws-us-gov", "us-gov-west-1", "123456789012", ContainerInstance, "edge", "77aa66bb55cc44dd33ee22ff11001122"},
		},
		"cluster in China": {
			"arn:aws-cn:ecs:cn-north-1:123456789012:cluster/a",
			ARN{"aws-cn", "cn-north-1", "123456789012", Cluster, "a", "a"},
		},
		"cluster in an isolated region": {
			"arn:aws-iso-b:ecs:us-isob-east-1:123456789012:cluster/9_Lives-x",
			ARN{"aws-iso-b", "us-isob-east-1", "123456789012", Cluster, "9_Lives-x", "9_Lives-x"},
		},
		"European sovereign cloud": {
			"arn:aws-eusc:ecs:eusc-de-east-1:123456789012:task-definition/agent:12",
			ARN{"aws-eusc", "eusc-de-east-1", "123456789012", TaskDefinition, "", "agent:12"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.in)
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
			assert.Equal(t, tc.in, got.String())
		})
	}
}

func TestParse_RejectsMalformedARNs(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                     "",
		"a name":                    "prod",
		"another scheme":            "urn:aws:ecs:us-east-1:123456789012:cluster/a",
		"another service":           "arn:aws:ec2:us-east-1:123456789012:cluster/a",
		"another partition":         "arn:gcp:ecs:us-east-1:123456789012:cluster/a",
		"no region":                 "arn:aws:ecs::123456789012:cluster/a",
		"short account":             "arn:aws:ecs:us-east-1:12345:cluster/a",
		"no resource":               "arn:aws:ecs:us-east-1:123456789012:",
		"no id":                     "arn:aws:ecs:us-east-1:123456789012:task/",
		"no id after the cluster":   "arn:aws:ecs:us-east-1:123456789012:task/prod/",
		"no cluster before the id":  "arn:aws:ecs:us-east-1:123456789012:task//id",
		"one part too many":         "arn:aws:ecs:us-east-1:123456789012:task/prod/id/more",
		"a task set":                "arn:aws:ecs:us-east-1:123456789012:task-set/prod/web/1",
		"cluster with a slash":      "arn:aws:ecs:us-east-1:123456789012:cluster/a/b",
		"definition, no revision":   "arn:aws:ecs:us-east-1:123456789012:task-definition/agent",
		"definition, revision zero": "arn:aws:ecs:us-east-1:123456789012:task-definition/agent:0",
		"newline at the end":        "arn:aws:ecs:us-east-1:123456789012:cluster/a\n",
		"space":                     "arn:aws:ecs:us-east-1:123456789012:cluster/a b",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(in)
			assert.ErrorIs(t, err, ErrMalformed)
		})
	}
}

func TestParseKind_RejectsAnotherKind(t *testing.T) {
	_, err := ParseKind("arn:aws:ecs:us-east-1:123456789012:cluster/a", Task)
	assert.ErrorIs(t, err, ErrMalformed)
	assert.ErrorContains(t, err, "not a task")
}

func TestIsClusterName_FollowsECS(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "9": true, "_": true, "prod-EU_1": true, string(make256()[:255]): true,
		"": false, "a b": false, "a/b": false, "é": false, "a\n": false, string(make256()): false,
	} {
		assert.Equal(t, want, IsClusterName(name), "%.20q", name)
	}
}

func make256() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

// oracle is what Parse accepts, in the words of a regular expression.
var oracle = regexp.MustCompile(`\Aarn:aws[a-z-]*:ecs:[a-z]{2,}(-[a-z0-9]+)+:[0-9]{12}:(` +
	`cluster/[a-zA-Z0-9_-]{1,255}|` +
	`(task|container-instance)/([a-zA-Z0-9_-]{1,255}/)?[a-zA-Z0-9_-]{1,255}|` +
	`task-definition/[a-zA-Z0-9_-]{1,255}:[1-9][0-9]{0,9})\z`)

func FuzzParse_RoundTrips(f *testing.F) {
	for _, seed := range []string{
		"arn:aws:ecs:us-east-1:123456789012:task/b99d40b3-5176-4f71-9a52-9dbd6f1cebef",
		"arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900aabbccddeeff",
		"arn:aws-us-gov:ecs:us-gov-west-1:123456789012:container-instance/edge/77aa66bb55cc44dd33ee22ff11001122",
		"arn:aws:ecs:us-east-1:123456789012:cluster/default",
		"arn:aws:ecs:us-east-1:123456789012:task-definition/xray:2",
		"arn:aws:ecs:us-east-1:123456789012:task-definition/xray:10000000000",
		"arn:awsiso-:ecs:us-1-a:123456789012:cluster/a",
		"arn:aws:ecs:us-east-1:123456789012:cluster/" + string(make256()), "arn:aws:ecs:us--east:123456789012:task/a/b/c",
		"arn:aws:ecs:us-east-1:123456789012:task//", "arn:::::", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		a, err := Parse(in)
		if accepted := err == nil; accepted != oracle.MatchString(in) {
			t.Fatalf("%q: %+v, %v", in, a, err)
		}
		if err != nil {
			return
		}
		if a.String() != in {
			t.Errorf("%q came back as %q", in, a.String())
		}
		if a.ID == "" || a.Region == "" || a.Account == "" {
			t.Errorf("accepted %q without identity: %+v", in, a)
		}
	})
}
