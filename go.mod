module github.com/seed-e797c9ce/oauth

go 1.25.0

require (
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/google/uuid v1.6.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/crypto v0.55.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect
