package daemonscheduler_test

import (
	"io"
	"slices"
	"testing"

	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/docs"
)

func TestReference_Flags(t *testing.T) {
	docs.CheckFlags(t, "docs/reference/flags.md", docs.Program{
		Prefix: "DS",
		Parse: func(args []string, getenv func(string) string, help io.Writer) error {
			_, err := daemonscheduler.ParseConfig(args, getenv, help)
			return err
		},
		Valid: []string{"--etcd-endpoint", "etcd:2379", "--css-endpoint", "css:3000"},
		Variables: slices.Concat(docs.LogVariables("DS"), []docs.Variable{
			{
				Name:    "DS_ETCD_PASSWORD",
				Meaning: "Password of --etcd-user. It has no flag, because all users of a machine can see flags.",
			},
		}, docs.SDKVariables, []docs.Variable{
			{
				Name:    "AWS_ENDPOINT_URL_STS",
				Meaning: "Endpoint of STS alone. Blox calls STS for environments with a role.",
			},
			{
				Name:    "AWS_ENDPOINT_URL_CLOUDWATCH",
				Meaning: "Endpoint of CloudWatch alone. Blox calls CloudWatch for deployment alarms.",
			},
			{
				Name:    "AWS_ENDPOINT_URL_EVENTBRIDGE",
				Meaning: "Endpoint of EventBridge alone. Blox calls EventBridge for --event-bus.",
			},
			{
				Name:    "SSL_CERT_FILE",
				Meaning: "Authorities that verify the certificate of --event-webhook; default: the system's.",
			},
		}),
	})
}
