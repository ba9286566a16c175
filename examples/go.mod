module github.com/seed-e797c9ce/oauth/examples

go 1.25.0

require (
	github.com/seed-e797c9ce/oauth v0.0.0
	golang.org/x/crypto v0.55.0
	golang.org/x/oauth2 v0.36.0
)

require (
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
)

replace github.com/seed-e797c9ce/oauth => ..
