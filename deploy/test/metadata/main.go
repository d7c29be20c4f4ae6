// Command metadata stands in for the instance metadata of an EC2 instance with a role. It requires IMDSv2 and logs each
// time it serves credentials. It listens on port 8080.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"
)

const (
	token   = "session"
	listing = "/latest/meta-data/iam/security-credentials/"
	role    = "instance-role"
)

func main() {
	http.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
		fmt.Fprint(w, token)
	})
	http.HandleFunc("GET "+listing+"{name...}", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != token:
			w.WriteHeader(http.StatusUnauthorized)
		case r.PathValue("name") == "":
			fmt.Fprint(w, role)
		case r.PathValue("name") == role:
			now := time.Now().UTC()
			fmt.Fprintf(w, `{"Code": "Success", "Type": "AWS-HMAC",
				"AccessKeyId": "any", "SecretAccessKey": "any", "Token": "any",
				"LastUpdated": %q, "Expiration": %q}`, now.Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339))
			log.Printf("served the role's credentials to %s", r.RemoteAddr)
		default:
			http.NotFound(w, r)
		}
	})
	server := &http.Server{Addr: ":8080", ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
