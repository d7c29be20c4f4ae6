package ingest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseAddress_AcceptsNamesURLsAndARNs(t *testing.T) {
	const stream = "arn:aws-cn:kinesis:cn-north-1:210987654321:stream/events.v1"
	const url = "https://sqs.eu-west-1.amazonaws.com/210987654321/blox_queue"
	for given, want := range map[string]Address{
		"blox_queue":          {Service: "sqs", Name: "blox_queue"},
		"sqs://q.fifo":        {Service: "sqs", Name: "q.fifo"},
		"kinesis://events.v1": {Service: "kinesis", Name: "events.v1"},
		"arn:aws:sqs:eu-west-1:210987654321:blox_queue": {
			Service: "sqs", Name: "blox_queue", Region: "eu-west-1", Account: "210987654321",
		},
		"sqs://arn:aws-us-gov:sqs:us-gov-west-1:210987654321:q": {
			Service: "sqs", Name: "q", Region: "us-gov-west-1", Account: "210987654321",
		},
		url: {Service: "sqs", Name: "blox_queue", Region: "eu-west-1", Account: "210987654321", URL: url},
		"http://localhost:9324/000000000000/q": {
			Service: "sqs", Name: "q", Account: "000000000000", URL: "http://localhost:9324/000000000000/q",
		},
		stream: {Service: "kinesis", Name: "events.v1", Region: "cn-north-1", Account: "210987654321", ARN: stream},
		"kinesis://" + stream: {
			Service: "kinesis", Name: "events.v1", Region: "cn-north-1", Account: "210987654321", ARN: stream,
		},
	} {
		got, err := ParseAddress(given)
		require.NoError(t, err, given)
		assert.Equal(t, want, got, given)
	}
}

func TestParseAddress_RejectsOthersClearly(t *testing.T) {
	for given, want := range map[string]string{
		"":              `"" is not a queue's name`,
		"a b":           `"a b" is not a queue's name`,
		"a/b":           `"a/b" is not a queue's name`,
		"sqs://":        `"" is not a queue's name`,
		"kinesis://a/b": `"a/b" is not a Kinesis stream's name`,
		"kinesis://a:b": `"a:b" is not a Kinesis stream's name`,
		"ftp://queue":   `unknown service "ftp"`,
		"http://queue":  "does not end in /ACCOUNT/NAME",
		"https://me:secret@sqs.eu-west-1.amazonaws.com/210987654321/q": "malformed URL",
		"arn:aws:sqs": "malformed ARN",
		"arn:aws:sns:eu-west-1:210987654321:topic":          `the ARN is one of "sns"`,
		"arn:aws:sqs::210987654321:q":                       "no valid region and account",
		"arn:aws:sqs:eu-west-1:1:q":                         "no valid region and account",
		"arn:aws:kinesis:eu-west-1:210987654321:consumer/q": "not one of a stream",
		"kinesis://arn:aws:sqs:eu-west-1:210987654321:q":    "the ARN is one of sqs",
	} {
		_, err := ParseAddress(given)
		assert.ErrorContains(t, err, want, given)
		assert.ErrorContains(t, err, "queue ", given)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{
		"blox_queue", "sqs://q.fifo", "kinesis://events.v1", "kinesis://a/b", "://", "sqs://a\n",
		"https://sqs.eu-west-1.amazonaws.com/210987654321/q", "arn:aws:sqs:eu-west-1:210987654321:q",
		"kinesis://arn:aws:kinesis:eu-west-1:210987654321:stream/q",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		source, err := ParseAddress(given)
		if err != nil {
			return
		}
		again, err := ParseAddress(source.Service + "://" + source.Name)
		if err != nil || again.Service != source.Service || again.Name != source.Name || source.Name == "" {
			t.Errorf("%q is %+v, which is %+v, %v", given, source, again, err)
		}
	})
}
