declare module "jasmine-core";
