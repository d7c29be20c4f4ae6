package source

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	deployer = "arn:aws:iam::210987654321:role/team/deployer"
	other    = "arn:aws:iam::210987654321:role/other"
)

func TestParse_ReadsTheKeysOfASource(t *testing.T) {
	spec, err := Parse("region=eu-west-1,role=" + deployer + ",external-id=x=7,queue=kinesis://events")
	require.NoError(t, err)
	assert.Equal(t, Spec{Region: "eu-west-1", Role: deployer, ExternalID: "x=7", Queue: "kinesis://events"}, spec)
	assert.Equal(t, "210987654321/eu-west-1", spec.Name())
	assert.Equal(t, "region=eu-west-1,role="+deployer+",queue=kinesis://events", spec.String(), "without the external ID")
	spec, err = Parse("region=us-gov-east-1")
	require.NoError(t, err)
	assert.Equal(t, "us-gov-east-1", spec.Name())
}

func TestParse_RejectsBadValues(t *testing.T) {
	for given, want := range map[string]string{
		"":                                  `unknown key ""; accepted: region, role, external-id, queue`,
		"region":                            "region has no value",
		"region=":                           "region has no value",
		"region=eu-west-1,region=eu-west-2": "region is repeated",
		"region=eu-west-1,account=1":        `unknown key "account"; accepted: region, role, external-id, queue`,
		"queue=q":                           "region is missing; want a region such as eu-west-1",
		"region=europe":                     `region "europe": want a region such as eu-west-1`,
		"region=eu-west-1,external-id=x7":   "external-id is only for a source with a role",
		"region=eu-west-1,queue=ftp://q":    `queue "ftp://q": unknown service "ftp"`,
		"region=eu-west-1,role=deployer":    `role "deployer": want the ARN of an IAM role`,
		"region=x,role=" + deployer + ",queue=_!":              "region \"x\"",
		"region=eu-west-1,role=" + deployer + ",external-id=x": "external-id: want 2 to 1224 letters",
	} {
		_, err := Parse(given)
		assert.ErrorContains(t, err, want, given)
	}
	_, err := Parse("region=x,role=y,queue=a/b")
	for _, part := range []string{"region", "role", "queue"} {
		assert.ErrorContains(t, err, part, "every problem is reported at once")
	}
}

func TestValidate_RejectsSourcesThatOverlap(t *testing.T) {
	const arn = "arn:aws:sqs:eu-west-1:123456789012:q"
	own := Spec{Region: "eu-west-1", Queue: "q"}
	for name, tc := range map[string]struct {
		specs []Spec
		want  string
	}{
		"one source":             {[]Spec{own}, ""},
		"two regions":            {[]Spec{own, {Region: "us-east-1", Queue: "q"}}, ""},
		"one queue for all":      {[]Spec{own, {Region: "us-east-1"}, {Region: "eu-west-1", Role: deployer}}, ""},
		"one region twice":       {[]Spec{own, {Region: "eu-west-1"}}, "two sources are of eu-west-1; list each account"},
		"two roles of a region":  {[]Spec{own, {Region: "eu-west-1", Role: deployer}, {Region: "eu-west-1", Role: other}}, "two sources are of 210987654321/eu-west-1"},
		"two regions of a role":  {[]Spec{own, {Region: "eu-west-1", Role: deployer}, {Region: "us-east-1", Role: deployer}}, ""},
		"no queue":               {[]Spec{{Region: "eu-west-1"}}, "no source has a queue"},
		"one queue of two":       {[]Spec{{Region: "eu-west-1", Queue: arn}, {Region: "us-east-1", Queue: arn}}, "have the same queue"},
		"one name in two places": {[]Spec{own, {Region: "eu-west-1", Role: deployer, Queue: "q"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Validate(tc.specs); tc.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, tc.want)
			}
		})
	}
}

func TestParseFile_ReadsYAMLAndJSON(t *testing.T) {
	want := []Spec{{Region: "us-east-1", Queue: "q"}, {Region: "eu-west-1", Role: deployer, ExternalID: "x7"}}
	for _, text := range []string{
		"sources:\n- region: us-east-1\n  queue: q\n- {region: eu-west-1, role: '" + deployer + "', external-id: x7}\n",
		`{"sources": [{"region": "us-east-1", "queue": "q"},
			{"region": "eu-west-1", "role": "` + deployer + `", "external-id": "x7"}]}`,
	} {
		specs, err := ParseFile([]byte(text))
		require.NoError(t, err)
		assert.Equal(t, want, specs)
	}
	for text, want := range map[string]string{
		"":                       "no sources",
		"sources: []":            "no sources",
		"sources: us-east-1":     "cannot unmarshal",
		"sources: [{regoin: a}]": "field regoin not found",
		"sources: [{region: eu-west-1, queue: q}]\n---\n":       "more than one document",
		"sources: [{region: eu-west-1, queue: q}, {region: x}]": `sources[1]: region "x"`,
		"sources: [{region: eu-west-1}]":                        "no source has a queue",
	} {
		_, err := ParseFile([]byte(text))
		assert.ErrorContains(t, err, want, text)
	}
}
