package environment

import (
	"encoding/json"
	"testing"
)

func BenchmarkDecodeLaunch(b *testing.B) {
	data := []byte(`{"Deployment":"22222222-2222-4222-8222-222222222222","TaskDefinition":"arn:aws:ecs:us-east-1:123456789012:task-definition/agent:2","State":"started","NotAfter":"2026-01-02T03:04:05Z","Task":"arn:aws:ecs:us-east-1:123456789012:task/prod/1","Attempts":1,"NextTry":"0001-01-01T00:00:00Z","Reason":"","Detail":""}`)
	for b.Loop() {
		var l Launch
		if err := json.Unmarshal(data, &l); err != nil {
			b.Fatal(err)
		}
	}
}
