CREATE DATABASE IF NOT EXISTS `${database}` CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${password}';
GRANT ALL ON `${database}`.* TO '${user}'@'%';
